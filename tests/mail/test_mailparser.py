"""A third opinion: what nodemailer's mailparser reads, as many web mailers do."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smtp_admin.mail.message import Attachment, Message
from smtp_admin.mail.mime import build
from tests.mail.test_headers import TEXTS

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SCRIPT = """
const {simpleParser} = require('mailparser');
const chunks = [];
process.stdin.on('data', chunk => chunks.push(chunk)).on('end', async () => {
  const found = [];
  for (const raw of JSON.parse(Buffer.concat(chunks))) {
    const mail = await simpleParser(Buffer.from(raw, 'base64'));
    found.push({
      subject: mail.subject, text: mail.text, html: mail.html,
      to: mail.to.value.map(one => [one.name, one.address]),
      files: mail.attachments.map(one => [one.filename, one.content.toString('base64')]),
    });
  }
  console.log(JSON.stringify(found));
});
"""


@pytest.fixture(scope="module")
def mailparser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where node finds mailparser."""
    folder = tmp_path_factory.mktemp("mailparser")
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no node")
    command = [npm, "install", "--silent", "--no-audit", "--prefix", str(folder), "mailparser@3"]
    if subprocess.run(command, check=False, cwd=folder).returncode:
        pytest.skip("npm cannot install mailparser here")
    (folder / "read.js").write_text(SCRIPT)
    return folder


def test_mailparser_reads_the_same(mailparser: Path) -> None:
    body = "Zoë\n.\nFrom here\n" + "long " * 40 + "\n"
    mails = []
    for text in TEXTS:
        to: list[Any] = [("ä", "first@b.example"), (text, "to@example.com"), "last@b.example"]
        file = Attachment(text, "application/pdf", b"\0\r\n.\r\n")
        message = Message(text, to, body, html=f"<p>{'ü' * 100}</p>\n", attachments=[file])
        mails.append(build(message, message_id="<a@b.example>", limit=100_000))
    found = subprocess.run(
        ["node", "read.js"],
        cwd=mailparser,
        check=True,
        input=json.dumps([base64.b64encode(raw).decode() for raw in mails]).encode(),
        stdout=subprocess.PIPE,
    )
    for text, mail in zip(TEXTS, json.loads(found.stdout), strict=True):
        addresses = ["first@b.example", "to@example.com", "last@b.example"]
        assert [address for _, address in mail["to"]] == addresses
        assert mail["to"][1][0].strip() == text.strip()  # which it takes off some
        assert mail["subject"] == text
        assert mail["text"] == body
        assert mail["html"] == f"<p>{'ü' * 100}</p>\n"
        assert mail["files"] == [[text, base64.b64encode(b"\0\r\n.\r\n").decode()]]
