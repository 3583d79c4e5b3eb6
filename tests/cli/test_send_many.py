"""``send-many`` and ``batch``: from a file to everybody, once each, whatever happens between."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.delivery.models import Delivery
from smtp_admin.mail import batches
from smtp_admin.mail.batches import Filling
from tests.app import HostApp
from tests.cli.test_senders import answer, run
from tests.mail.newsletter import NAME, add_newsletter
from tests.servers.scripted import ScriptedServer

OF_ACME = ("--partner", "acme")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A mail server without a login."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp], server: ScriptedServer) -> Iterator[HostApp]:
    """Acme has its default sender and one for newsletters."""
    made = new_app()
    add_newsletter(made)
    with made.app.app_context():
        made.save_sender("acme", port=server.port)
        made.save_sender("acme", key="news", port=server.port, from_email="news@acme.example")
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three people."""
    path = tmp_path / "december.csv"
    rows = [f"p{number}@example.org,P{number},{number}" for number in range(3)]
    path.write_text("\n".join(["address,name,code", *rows, ""]))
    return path


def arrived(server: ScriptedServer) -> Counter[str]:
    return Counter(one for message in server.messages for one in message.recipients)


def states(site: HostApp) -> list[tuple[str, str]]:
    session = site.db.session()
    session.rollback()
    rows = session.execute(select(Delivery.recipient, Delivery.state).order_by(Delivery.id))
    return [(row[0], row[1]) for row in rows]


def test_everybody_in_the_file_gets_one(site: HostApp, file: Path, server: ScriptedServer) -> None:
    said = run(site, "send-many", NAME, str(file), *OF_ACME, "--sender", "news").output
    assert "3 mails of type newsletter, from news@acme.example." in said
    assert "3 mails are queued as batch " in said
    site.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(3)}
    assert {one.mail_from for one in server.messages} == {"news@acme.example"}
    (batch,) = answer(site, "batch", "list")
    assert (batch["label"], batch["created_by"], batch["states"]) == (
        "december", "operator", {"sent": 3},
    )  # fmt: skip


def test_the_same_file_again_queues_nobody_twice(site: HostApp, file: Path) -> None:
    first = answer(site, "send-many", NAME, str(file), *OF_ACME)
    assert (first["queued"], first["already_there"]) == (3, 0)
    again = answer(site, "send-many", NAME, str(file), *OF_ACME)
    assert (again["id"], again["queued"], again["already_there"]) == (first["id"], 0, 3)
    other = answer(site, "send-many", NAME, str(file), *OF_ACME, "--key", "once more")
    assert (other["queued"], len(states(site))) == (3, 6)


def test_a_run_that_was_killed_is_repeated(
    site: HostApp, file: Path, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    """After the first commit; each step is one row here."""
    steps = batches.in_steps
    add = Filling.add

    def die(filling: Filling, some: Any) -> None:
        if filling.seen:
            raise KeyboardInterrupt
        add(filling, some)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "in_steps", lambda items: steps(items, 1))
        patch.setattr(Filling, "add", die)
        run(site, "send-many", NAME, str(file), *OF_ACME, status=1)
    site.db.session.rollback()
    assert len(states(site)) == 1
    run(site, "send-many", NAME, str(file), *OF_ACME)
    site.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(3)}


def test_bad_rows_are_named_and_nothing_is_queued(site: HostApp, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        'address,name,code\na@example.org,"A\nB",1\nnobody,B,2\n\nc@example.org,C\n,D,4\n'
    )
    said = run(site, "send-many", NAME, str(path), *OF_ACME, status=1).output
    assert "3 rows of people.csv cannot be used; nothing was queued." in said
    assert "line 4: 'nobody' is not a valid mail address" in said
    assert "line 6: it has 2 cells instead of 3." in said
    assert "line 7: " in said
    error = answer(site, "send-many", NAME, str(path), *OF_ACME, status=1)
    assert "line 4" in error["error"]["message"]
    assert states(site) == []
    skip = ("send-many", NAME, str(path), *OF_ACME, "--skip-bad-lines", "--yes")
    assert "Lines skipped: 4, 6, 7." in run(site, *skip).output
    run(site, *skip)
    assert states(site) == [("a@example.org", "queued")], "nobody twice"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column “address”"),
        ("name,code\nA,1\n", "no column “address”"),
        ("address,name\na@example.org,A\n", "lacks columns that newsletter needs: code"),
        ("address,name,code,name\na@example.org,A,1,B\n", "two columns “name”"),
        ("address,name,code\n", "has no recipients"),
        ('address,name,code\na@example.org,"A,1\n', "cannot be read from line"),
        (b"address,name,code\na@example.org,Zo\xeb,1\n", "not text in UTF-8"),
    ],
)
def test_files_that_cannot_be_used(
    site: HostApp, tmp_path: Path, text: str | bytes, words: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in run(site, "send-many", NAME, str(path), *OF_ACME, status=1).output
    assert states(site) == []


def test_a_value_that_no_subject_can_have(site: HostApp, tmp_path: Path) -> None:
    """It shows only when the mail is written: the row is named, and with it how to go on."""
    path = tmp_path / "people.csv"
    path.write_text("address,name,code\na@example.org,A,1\nb@example.org,=?utf-8?q?x?=,2\n")
    said = run(site, "send-many", NAME, str(path), *OF_ACME, "--key", "k", status=1).output
    assert "line 3: " in said
    assert "--key k" in said
    assert states(site) == []
    path.write_text("address,name,code\na@example.org,A,1\nb@example.org,B,2\n")
    run(site, "send-many", NAME, str(path), *OF_ACME, "--key", "k")
    assert len(states(site)) == 2


def test_columns_may_come_in_any_order(site: HostApp, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes("\ufeffCode;Note;NAME;Address\r\n1;x;Zoë;a@example.org\r\n".encode())
    said = run(site, "send-many", NAME, str(path), *OF_ACME).output
    assert "Columns unknown to the type: note." in said
    assert states(site) == [("a@example.org", "queued")]


def test_a_dry_run_says_how_long_it_takes(site: HostApp, file: Path) -> None:
    site.save_sender("acme", max_per_hour=2)
    said = run(site, "send-many", NAME, str(file), *OF_ACME, "--dry-run").output
    assert "With its limits, sending takes about 3 hours." in said
    assert "Nothing was queued." in said
    expected = answer(site, "send-many", NAME, str(file), *OF_ACME, "--dry-run")
    assert (expected["count"], expected["seconds"], expected["max_per_hour"]) == (3, 10800, 2)
    assert states(site) == []
    assert answer(site, "batch", "list") == []


@pytest.mark.parametrize("reply", ["y", "n"])
def test_to_myself_first(site: HostApp, file: Path, server: ScriptedServer, reply: str) -> None:
    words = ("send-many", NAME, str(file), *OF_ACME, "--to-myself-first", "me@acme.example")
    status = 0 if reply == "y" else 1
    said = run(site, *words, input=f"{reply}\n", status=status).output
    assert "The first one's mail goes to me@acme.example as " in said
    assert "Queue 3 mails?" in said
    site.work()
    (first,) = [one for one in server.messages if one.recipients == ["me@acme.example"]]
    assert b"Hello P0, your code is 0." in first.data
    assert len(server.messages) == (4 if reply == "y" else 1)


def test_a_script_is_asked_nothing(site: HostApp, file: Path) -> None:
    words = ("--to-myself-first", "me@acme.example")
    assert answer(site, "send-many", NAME, str(file), *OF_ACME, *words)["queued"] == 3
    assert states(site)[0] == ("me@acme.example", "queued")
    assert answer(site, "batch", "list")[0]["total"] == 3


def test_cancel_and_resume(site: HostApp, file: Path, server: ScriptedServer) -> None:
    batch_id = answer(site, "send-many", NAME, str(file), *OF_ACME)["id"]
    assert "3 mails will not be sent." in run(site, "batch", "cancel", batch_id).output
    assert "cancelled already" in run(site, "batch", "cancel", batch_id, status=1).output
    shown = answer(site, "batch", "show", batch_id)
    assert (shown["states"], shown["waiting"]) == ({"cancelled": 3}, 0)
    said = run(site, "send-many", NAME, str(file), *OF_ACME, status=1).output
    assert "was cancelled; nothing was queued." in said
    assert "--resume" in said
    site.work()
    assert not server.messages
    again = run(site, "send-many", NAME, str(file), *OF_ACME, "--resume").output
    assert "3 cancelled mails are queued again." in again
    assert answer(site, "send-many", NAME, str(file), *OF_ACME, "--resume")["resumed"] == 0
    site.work()
    assert arrived(server) == {f"p{number}@example.org": 1 for number in range(3)}
    assert "3 of 3 done" in run(site, "batch", "show", batch_id).output


@pytest.mark.parametrize(
    "words",
    [
        ("batch", "show", "0" * 32),
        ("batch", "cancel", "nothing"),
        ("batch", "list", "--partner", "nobody"),
        ("send-many", "unknown", "FILE"),
        ("send-many", NAME, "FILE", "--partner", "nobody"),
        ("send-many", NAME, "FILE", "--partner", "acme", "--sender", "nothing"),
    ],
)
def test_what_is_not_there(site: HostApp, file: Path, words: tuple[str, ...]) -> None:
    said = run(site, *(str(file) if one == "FILE" else one for one in words), status=1).output
    assert "There is no" in said


def test_too_many_for_one_batch(new_app: Callable[..., HostApp], file: Path) -> None:
    site = new_app(BATCH_LIMIT=2)
    add_newsletter(site)
    with site.app.app_context():
        site.save_sender("acme")
        said = run(site, "send-many", NAME, str(file), *OF_ACME, status=1).output
        assert "more than 2 mails" in said
        assert states(site) == []


def test_json_is_all_that_a_script_sees(site: HostApp, file: Path) -> None:
    said = run(site, "send-many", NAME, str(file), *OF_ACME, "--json").output
    assert json.loads(said)["ok"] is True


@pytest.mark.parametrize(
    ("sandbox", "words"),
    [
        ("redirect:dev@example.com", "dev@example.com instead of me@acme.example as"),
        ("allow:me@acme.example", "goes to me@acme.example as"),
        ("allow:you@acme.example", "me@acme.example, but the sandbox holds it, as"),
    ],
)
def test_a_sandbox_is_named(
    new_app: Callable[..., HostApp], file: Path, sandbox: str, words: str
) -> None:
    site = new_app(SANDBOX=sandbox)
    add_newsletter(site)
    with site.app.app_context():
        site.save_sender("acme")
        myself = ("--to-myself-first", "me@acme.example", "--yes")
        said = run(site, "send-many", NAME, str(file), *OF_ACME, *myself).output
        assert f"This is a sandbox: SMTP_ADMIN_SANDBOX is {sandbox}." in said
        assert words in said
        tested = run(site, "send-test", "me@acme.example", *OF_ACME).output
        assert f"SMTP_ADMIN_SANDBOX is {sandbox}." in tested
