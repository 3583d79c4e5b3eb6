"""The bytes of a redirected mail, read by a parser that is not ours."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.mail import mime
from smtp_admin.mail.message import Message
from smtp_admin.sandbox.rewriting import HEADER, is_redirected, redirected, subject_for

DEV = "dev@example.com"
SENDERS = b"From: Acme <noreply@acme.example>\r\nReply-To: help@acme.example\r\nX-A: b\r\n"


def build(**fields: Any) -> bytes:
    given: dict[str, Any] = {"subject": "Hello", "recipients": ["you@example.org"], "body": "Hi."}
    return mime.build(Message(**(given | fields)), message_id="<1@acme.example>", limit=10**6)


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


@pytest.mark.parametrize(
    "subject",
    ["Hello", "", "Übermorgen ist's soweit", "x" * 300, "a ü b " * 30, "Re: x" + " y" * 200, "😀"],
)
def test_the_subject_stays_behind_the_label(subject: str) -> None:
    content, _ = redirected(build(subject=subject), ["you@example.org"], DEV)
    assert read(content)["Subject"].rstrip() == subject_for(["you@example.org"], subject)
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_nobody_real_is_answered() -> None:
    mail = SENDERS + build(
        recipients=["Mia <mia@example.org>"] * 3,
        cc=["tom@example.org"],
        bcc=["eve@example.org"],
        reply_to="me@acme.example",
        extra_headers={"References": "<a@b>", "X-To": "kept"},
    )
    intended = ["mia@example.org", "tom@example.org", "eve@example.org"]
    content, head = redirected(mail, intended, DEV, len(SENDERS))
    found = read(content)
    assert (found["To"], found["Cc"], found["Reply-To"]) == (DEV, None, None)
    assert found[HEADER] == ", ".join(intended)
    assert found["Subject"] == "[to mia@example.org and 2 more] Hello"
    assert (found["References"], found["X-To"], found["X-A"]) == ("<a@b>", "kept", "b")
    assert content[:head] == b"From: Acme <noreply@acme.example>\r\nX-A: b\r\n"
    assert content.partition(b"\r\n\r\n")[2] == mail.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "name",
    [
        "Mail-Reply-To", "Mail-Followup-To", "Errors-To", "Return-Receipt-To",
        "Disposition-Notification-To", "disposition-notification-to", "X-Confirm-Reading-To",
    ],
)  # fmt: skip
def test_no_receipt_and_no_answer_reaches_anybody_real(name: str) -> None:
    mail = SENDERS + f"{name}: help@acme.example\r\n".encode()
    head = len(mail)
    mail += build(extra_headers={name.swapcase(): "me@acme.example"})
    content, head = redirected(mail, ["you@example.org"], DEV, head)
    assert read(content)[name] is None
    later = f"{name}: help@acme.example\r\n".encode() + content
    assert redirected(later, [DEV], DEV)[0] == content


def test_a_second_time_only_an_answer_goes() -> None:
    once, _ = redirected(build(), ["you@example.org"], DEV)
    assert redirected(once, [DEV], "other@example.com") == (once, 0)
    again, _ = redirected(b"Reply-To: help@acme.example\r\n" + once, [DEV], DEV)
    assert again == once
    assert is_redirected(once)
    assert not is_redirected(build(body=f"{HEADER}: you@example.org"))


def test_many_and_long_and_foreign_recipients() -> None:
    intended = [f"{'x' * 60}{n}@{'long.' * 20}example.org" for n in range(50)]
    content, _ = redirected(build(), intended, DEV)
    assert str(read(content)[HEADER]).replace(" ", "").split(",") == intended
    content, _ = redirected(build(), ["übung@example.org"], DEV)
    assert read(content)[HEADER] == "übung@example.org"
    content.decode("ascii")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200))
def test_any_subject(subject: str) -> None:
    try:
        content = build(subject=subject)
    except ValueError:
        return
    before = str(read(content)["Subject"])
    found, _ = redirected(content, ["you@example.org"], DEV)
    assert str(read(found)["Subject"]).split() == f"[to you@example.org] {before}".split()
