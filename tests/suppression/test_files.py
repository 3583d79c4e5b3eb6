"""Lists that people import: what programs write, what goes wrong in them, and taking many back."""

import csv
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from smtp_admin.audit.models import Audit
from smtp_admin.delivery.suppressions import suppress_all
from smtp_admin.errors import InvalidInput
from smtp_admin.mail import suppression_file
from smtp_admin.mail.bad_lines import BadLines
from smtp_admin.mail.suppression_file import read_suppressions
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.writing import row_of
from tests.app import ACME_ADMIN, HostApp
from tests.suppression.conftest import Opened
from tests.suppression.lifting import JSON, PAGE, ours


def post(host: HostApp, raw: bytes) -> TestResponse:
    sent = {"file": (BytesIO(raw), "list.csv"), "category": "all"}
    return host.client.post(f"{PAGE}/import", data=sent, headers=JSON)


def addresses(text: str) -> list[str]:
    rows = read_suppressions(text, "acme", category="all").rows
    return [row["address"] for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "mia@example.org\ntom@example.org\n",
        "mia@example.org\rtom@example.org\r",  # as old spreadsheets do
        "mia@example.org\r\ntom@example.org\r\n",
        'email;detail\nmia@example.org;"a;b"\ntom@example.org;x\n',
        'address\tdetail\nmia@example.org\t"two\nlines"\ntom@example.org\t\n',
    ],
)
def test_as_programs_write_them(text: str) -> None:
    assert addresses(text) == ["mia@example.org", "tom@example.org"]


@pytest.mark.parametrize(
    "text",
    [
        'address,detail\nmia@example.org,"open\ntom@example.org,x\n',
        'address,detail\nmia@example.org,"open\ntom@example.org,x\nzoe@example.org,"y"\n',
        '"mia@example.org\ntom@example.org\n',
        "mia@example.org\n" + "x" * 200_000,
    ],
)
def test_no_line_is_swallowed(text: str) -> None:
    """Whoever is in it would else get mail again, and nobody would know."""
    with pytest.raises(InvalidInput) as caught:
        addresses(text)
    assert not isinstance(caught.value, BadLines), "skipped, it would take the rest with it"
    assert "cannot be read to its end. Nothing was imported." in caught.value.message
    assert "this is not CSV: " in caught.value.fields["file"][0]


@pytest.mark.parametrize("by_command", [True, False])
def test_what_was_exported_comes_back_as_it_was(opened: Opened, by_command: bool) -> None:
    """Though no spreadsheet takes a cell of it for a formula."""
    host = opened()
    details = {"+mia@example.org": "=1+1", "'tom@example.org": "'quoted'", "zoe@example.org": "@a"}
    rows = [row_of("acme", one, "manual", detail=said) for one, said in details.items()]
    suppress_all(host.db.session(), "acme", rows)
    host.db.session.commit()
    if by_command:
        words = ["smtp-admin", "suppressions", "export", "--partner", "acme"]
        text = host.app.test_cli_runner().invoke(args=words).output
    else:
        text = host.client.get(f"{PAGE}?export=csv").text
    cells = [cell for line in csv.reader(StringIO(text)) for cell in line]
    assert "'=1+1" in cells
    assert not any(cell.startswith(("=", "@", "+")) for cell in cells)
    found = read_suppressions(text, "globex", category="all").rows
    assert {row["address"]: row["detail"] for row in found} == details


def test_bad_lines_count_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million of them would keep a web process busy for a minute."""
    monkeypatch.setattr(suppression_file, "MOST_LINES", 100)
    with pytest.raises(InvalidInput, match="more than 100 lines"):
        addresses("x\n" * 101)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings_are_named(opened: Opened, encoding: str) -> None:
    host = opened()
    answer = post(host, "mia@example.org\nmüller@example.org\n".encode(encoding))
    assert answer.status_code == 400
    assert answer.json
    assert answer.json["error"]["message"] == "The file is not text in UTF-8."
    assert ours(host) == []


def test_many_are_taken_back_page_by_page(opened: Opened) -> None:
    """Each of them is written down, and they are few changes for the limit of a person."""
    host = opened(CHANGE_LIMIT="20 per 10 minutes")
    host.actor = ACME_ADMIN
    names = [f"reader{number:03}@example.org" for number in range(150)]
    assert post(host, "\n".join(names).encode()).status_code == 200
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    event.listen(host.db.engine, "before_cursor_execute", count)
    for _ in range(3):
        shown = host.client.get(PAGE, headers=JSON).json
        assert shown
        ids = [one["id"] for one in shown["suppressions"]]
        answer = host.client.post(f"{PAGE}/remove", json={"ids": ids}, headers=JSON)
        assert (answer.status_code, answer.json and answer.json["count"]) == (200, 50)
    assert statements < 90
    assert ours(host) == []
    done = host.db.session.scalars(
        select(Audit.detail).where(Audit.action == "suppression.removed")
    )
    assert {one for line in done for one in line.split(", ")} == {f"{one}: all" for one in names}


def test_what_is_new_of_a_long_list(new_app: Any, database: str) -> None:
    host = new_app(uri=database)
    with host.app.app_context():
        session = host.db.session()
        rows = [row_of("acme", f"{number}@example.org", "manual") for number in range(2500)]
        assert suppress_all(session, "acme", rows[:1500]) == 1500
        assert suppress_all(session, "acme", rows) == 1000
        assert suppress_all(session, "acme", rows) == 0
        assert suppress_all(session, "globex", [row_of("globex", "1@example.org", "bounce")]) == 1
        session.commit()
        assert len(ours(host)) == 2501
        host.db.session.remove()


def test_the_command_skips_bad_lines_if_it_is_told_to(opened: Opened, tmp_path: Path) -> None:
    host = opened()
    path = tmp_path / "list.csv"
    path.write_text("mia@example.org\nnobody\ntom@example.org\n")
    words = ["smtp-admin", "suppressions", "import", str(path), "--partner", "acme"]
    refused = host.app.test_cli_runner().invoke(args=words)
    assert refused.exit_code == 1
    assert "line 2: " in refused.output
    assert not host.db.session.scalars(select(Suppression)).all()
    done = host.app.test_cli_runner().invoke(args=[*words, "--skip-bad-lines"])
    assert done.output == "Addresses: 2, of which new: 2.\nLines skipped: 2.\n"
    path.write_text("nobody\n")
    assert host.app.test_cli_runner().invoke(args=[*words, "--skip-bad-lines"]).exit_code == 1
