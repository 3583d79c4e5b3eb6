"""What a process keeps of senders is never another's, nor what was taken back."""

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import ORMExecuteState, Session

from smtp_admin.erasure.finding import Search
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.queries import LISTED, all_senders
from tests.app import HostApp
from tests.delivery.workbench import erase_now


@pytest.fixture
def session(inside: HostApp) -> Session:
    """A session of an app that has one saved sender, and has looked at none."""
    inside.save_sender("acme", host="a.example")
    LISTED.of(inside.installation).clear()
    session: Session = inside.db.session()
    return session


def _labels(session: Session) -> list[str]:
    return [one.label for one in all_senders(session, ["acme"])]


def _hosts(session: Session, partner_id: str) -> list[str]:
    return [one.values.host for one in all_senders(session, [partner_id])]


def _relabel(host: HostApp, label: str) -> None:
    with host.db.engine.begin() as connection:
        connection.execute(update(Sender).where(Sender.partner_id == "acme").values(label=label))


def test_what_a_session_holds_and_takes_back(session: Session) -> None:
    row = session.scalars(select(Sender).where(Sender.partner_id == "acme")).one()
    row.label = "Taken back"
    _labels(session)
    session.rollback()
    assert _labels(session) == [""]


def test_what_another_changes_for_a_moment_between_two_looks(
    inside: HostApp, session: Session
) -> None:
    session.commit()  # on SQLite nobody else writes else
    looks = 0

    def change(state: ORMExecuteState) -> None:
        nonlocal looks
        looks += 1
        _relabel(inside, "For a moment")

    event.listen(session, "do_orm_execute", change)
    _labels(session)
    event.remove(session, "do_orm_execute", change)
    session.rollback()
    _relabel(inside, "")
    assert (looks, _labels(session)) == (1, [""])


def test_an_id_that_was_another_s(inside: HostApp, session: Session) -> None:
    save = inside.save_sender
    assert _hosts(session, "acme") == ["a.example"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "commit", session.flush)
        save("globex", host="g.example")
        save("acme", host="b.example")
        assert (_hosts(session, "globex"), _hosts(session, "acme")) == (
            ["g.example"],
            ["b.example"],
        )
    session.rollback()
    save("initech", host="i.example")
    save("acme", host="c.example")
    found = [_hosts(session, one) for one in ("globex", "initech", "acme")]
    assert found == [[], ["i.example"], ["c.example"]]


def test_who_saved_it_is_erased(inside: HostApp, session: Session) -> None:
    address = "mia@customer.example"
    session.execute(update(SenderRevision).values(created_by=address))
    session.commit()
    (before,) = all_senders(session, ["acme"])
    session.rollback()
    erase_now(inside, Search(address))
    (after,) = all_senders(session, ["acme"])
    assert (before.saved_by, address in after.saved_by) == (address, False)
