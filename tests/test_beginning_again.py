"""A request whose transaction another got in the way of begins again, if nothing of it is done."""

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from smtp_admin.audit.models import Audit
from smtp_admin.database_errors import TRIES
from smtp_admin.delivery import suppressions as writing
from smtp_admin.pages import suppressions as page
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reading import address_hash
from smtp_admin.suppression.writing import clean_category, insert_suppressions, row_of
from tests.app import HostApp
from tests.delivery.conftest import NewHost, opened, shared_database
from tests.patience import SECONDS
from tests.scene import JSON, PREFIX
from tests.worker.running import until

__all__ = ["opened", "shared_database"]

LIST = f"{PREFIX}/partners/acme/suppressions"
#: In the order in which they are written.
FIRST, LAST = sorted(("mia@example.org", "tom@example.org"), key=address_hash)
_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


def imported(host: HostApp) -> TestResponse:
    file = (BytesIO(f"{LAST}\n{FIRST}\n".encode()), "list.csv")
    return host.app.test_client().post(f"{LIST}/import", headers=JSON, data={"file": file})


#: MariaDB answers with what it found before, unless nobody has asked for a tenth of a second.
_UNASKED_SECONDS = 0.15


def until_it_waits(engine: Engine) -> None:
    def waits() -> bool:
        time.sleep(_UNASKED_SECONDS)
        with engine.connect() as connection:
            return bool(connection.scalar(text(_WAITING[engine.dialect.name])))

    assert until(waits), "it waits for nobody"


def audits(host: HostApp) -> int:
    host.db.session.rollback()
    mine = select(func.count()).where(Audit.action.like("suppression.%"))
    return host.db.session.scalar(mine) or 0


def test_an_import_that_others_get_in_the_way_of(opened: NewHost, shared_database: str) -> None:
    """Each holds an address that the other wants: the database lets one go on."""
    host = opened(uri=shared_database)
    engine = host.db.engine
    with ThreadPoolExecutor(1) as thread:
        other = host.db.session()
        if engine.dialect.name == "postgresql":  # ends who waited for so long; else who came last
            other.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        # Of two that wait for each other, MariaDB ends the one that did less.
        rows = [row_of("acme", f"{number}@example.net", "manual") for number in range(50)]
        insert_suppressions(other, [*rows, row_of("acme", LAST, "manual")])
        answer = thread.submit(imported, host)
        until_it_waits(engine)
        insert_suppressions(other, [row_of("acme", FIRST, "manual")])
        other.rollback()
        done = answer.result(SECONDS)
    assert (done.status_code, done.json and done.json["new"]) == (200, 2), done.text
    found = host.db.session.scalars(select(Suppression.address).order_by(Suppression.id)).all()
    assert sorted(found) == sorted((FIRST, LAST))
    assert audits(host) == 1


class Quarrel:
    """In place of a function: it does its work, and then a driver says that this was in vain."""

    def __init__(self, does: Any, times: int, *, commits: bool = False) -> None:
        self.does, self.times, self.commits = does, times, commits
        self.calls = 0

    def __call__(self, session: Any, *given: Any, **more: Any) -> Any:
        self.calls += 1
        done = self.does(session, *given, **more)
        if self.commits:
            session.commit()
        if self.calls <= self.times:
            raise OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))
        return done


@pytest.mark.parametrize(
    ("times", "commits", "status", "calls"),
    [
        (1, False, 201, 2),
        (TRIES - 1, False, 201, TRIES),
        (TRIES, False, 503, TRIES),
        (1, True, 503, 1),
    ],
)
def test_how_often(
    host: HostApp,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    commits: bool,
    status: int,
    calls: int,
) -> None:
    quarrel = Quarrel(writing.suppress, times, commits=commits)
    monkeypatch.setattr(page, "suppress", quarrel)
    answer = host.client.post(LIST, headers=JSON, data={"address": FIRST})
    assert (answer.status_code, quarrel.calls) == (status, calls)
    assert audits(host) == (status == 201)


def test_nor_for_long(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database lets each try wait, a person is told in the end."""
    quarrel = Quarrel(writing.suppress, TRIES)
    monkeypatch.setattr(page, "suppress", quarrel)
    monkeypatch.setattr("smtp_admin.protection._LONGEST_SECONDS", 0.0)
    answer = host.client.post(LIST, headers=JSON, data={"address": FIRST})
    assert (answer.status_code, quarrel.calls) == (503, 1)


def test_what_it_says_then_is_an_answer_as_any(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the second time ends in an error."""
    tries = iter((OperationalError("UPDATE", {}, Exception(1213, "Deadlock found")), None))

    def refuses(*_given: Any, **_more: Any) -> Any:
        error = next(tries)
        if error is not None:
            raise error
        return clean_category("no category!")

    monkeypatch.setattr(page, "suppress", refuses)
    answer = host.client.post(LIST, headers=JSON, data={"address": FIRST})
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (
        400,
        "invalid_input",
    )


def test_so_does_the_command(host: HostApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    quarrel = Quarrel(writing.suppress_all, 2)
    monkeypatch.setattr("smtp_admin.cli.suppressions.suppress_all", quarrel)
    (tmp_path / "list.csv").write_text(f"{FIRST}\n{LAST}\n")
    command = ["smtp-admin", "suppressions", "import", str(tmp_path / "list.csv"), "--partner"]
    done = host.app.test_cli_runner().invoke(args=[*command, "acme"])
    assert (done.exit_code, quarrel.calls) == (0, 3), done.output
    assert "Addresses: 2, of which new: 2." in done.output
    assert audits(host) == 1
