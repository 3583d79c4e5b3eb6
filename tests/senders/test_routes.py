"""Routes: by type, then by priority, then the default; each partner's own, never another's."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.senders.models import Route, Sender
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from smtp_admin.senders.routing import Choice, choose_sender, routes_of, save_routes
from tests.app import ACME_ADMIN, ADMIN, HostApp

TYPE, PRIORITY = "type", "priority"


@pytest.fixture
def session(inside: HostApp) -> Iterator[Session]:
    """The host's session, on each kind of database."""
    session = inside.db.session()
    yield session
    session.rollback()


def have(site: HostApp, *senders: str) -> None:
    """Senders, as ``partner/key``; ``/`` is the system's default."""
    for one in senders:
        partner_id, _, key = one.partition("/")
        site.save_sender(partner_id, key=key)


def route(session: Session, partner_id: str = "acme", **keys: str) -> None:
    """Save routes: ``type_x="a"`` sends mail of the type ``x`` by the sender ``a``."""
    wanted: Any = {}
    for name, key in keys.items():
        kind, _, what = name.partition("_")
        wanted[kind, what] = key
    save_routes(session, partner_id, wanted, ACME_ADMIN)
    session.commit()


def chosen(
    session: Session, type_name: str = "", priority: str = "normal", partner_id: str = "acme",
    **more: Any,
) -> tuple[str, str, str]:  # fmt: skip
    """Whose sender, its key, and the rule that chose it."""
    found: Choice = choose_sender(session, partner_id, type_name, priority, **more)
    return found.sender.partner_id, found.sender.key, found.rule


def test_type_before_priority_before_default(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/resets", "acme/bulk")
    route(session, type_password_reset="resets", priority_bulk="bulk")
    assert chosen(session, "password_reset", "urgent") == ("acme", "resets", "type")
    assert chosen(session, "password_reset", "bulk") == ("acme", "resets", "type")
    assert chosen(session, "newsletter", "bulk") == ("acme", "bulk", "priority")
    assert chosen(session, "newsletter", "normal") == ("acme", "", "default")
    assert choose_sender(session, "acme", "password_reset", "bulk").route_of == "acme"


def test_a_name_is_of_one_kind(inside: HostApp, session: Session) -> None:
    """A type that somebody called like a priority is still a type."""
    have(inside, "acme/", "acme/a", "acme/b")
    route(session, type_bulk="a", priority_urgent="b")
    assert chosen(session, "bulk", "normal") == ("acme", "a", "type")
    assert chosen(session, "", "bulk") == ("acme", "", "default")
    assert chosen(session, "urgent", "normal") == ("acme", "", "default")


def test_a_named_sender_is_asked_for_no_route(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/a", "acme/b", "/", "/theirs")
    route(session, type_x="a")
    assert chosen(session, "x", key="b") == ("acme", "b", "named")
    assert chosen(session, "x", key="") == ("acme", "", "named")
    for key in ("absent", "theirs", "A", "x" * 200):
        with pytest.raises(MessageError, match="was not queued"):
            chosen(session, "x", key=key)


def test_without_a_sender_of_its_own_a_partner_has_the_systems(
    inside: HostApp, session: Session
) -> None:
    have(inside, "/", "/urgent")
    route(session, "", priority_urgent="urgent")
    assert chosen(session, "x", "urgent") == ("", "urgent", "priority")
    assert chosen(session, "x", "normal") == ("", "", "default")
    assert chosen(session, "x", "normal", key="urgent") == ("", "urgent", "named")
    have(inside, "acme/")
    assert chosen(session, "x", "urgent") == ("acme", "", "default"), "the system's are not asked"
    with pytest.raises(MessageError):
        chosen(session, "x", "normal", key="urgent")


def test_before_anything_is_set_up_mail_waits_at_the_system(session: Session) -> None:
    assert chosen(session) == ("", "", "system")
    assert chosen(session, partner_id="") == ("", "", "system")


def test_a_deleted_senders_routes_do_not_count(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/a", "acme/b")
    route(session, type_x="a", priority_bulk="b")
    delete_sender(session, load_sender(session, "acme", "a"), ADMIN)
    session.commit()
    assert chosen(session, "x", "bulk") == ("acme", "b", "priority")
    assert chosen(session, "x", "normal") == ("acme", "", "default")
    with pytest.raises(MessageError):
        chosen(session, key="a")
    delete_sender(session, load_sender(session, "acme", ""), ADMIN)
    delete_sender(session, load_sender(session, "acme", "b"), ADMIN)
    session.commit()
    assert chosen(session, "x", "bulk") == ("", "", "system")


def test_one_that_was_never_saved_is_no_choice(inside: HostApp, session: Session) -> None:
    have(inside, "acme/")
    session.add(Sender(partner_id="acme", key="empty"))
    session.commit()
    with pytest.raises(MessageError):
        chosen(session, key="empty")


def test_routes_are_saved_as_a_whole(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/a")
    route(session, type_x="a", priority_bulk="a")
    route(session, type_y="a", type_x="")
    a, default = (load_sender(session, "acme", key).sender_id for key in ("a", ""))
    assert routes_of(session, "acme") == {(TYPE, "y"): a, (TYPE, "x"): default}
    route(session)
    assert routes_of(session, "acme") == {}
    details = session.scalars(
        select(Audit.detail).where(Audit.action == "routes.saved").order_by(Audit.id)
    ).all()
    assert details == ["x by a, bulk by a", "y by a, x by default", "none"]
    before = len(details)
    route(session)
    rows = session.scalars(select(Audit.id).where(Audit.action == "routes.saved")).all()
    assert len(rows) == before, "what changes nothing is not written down"


# Two partners never mix


def test_nobody_routes_to_another_partners_sender(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/a", "globex/", "globex/theirs", "/", "/systems")
    route(session, type_x="a")
    for key in ("theirs", "systems", "absent", "system", "default"):
        with pytest.raises(InvalidInput) as caught:
            route(session, type_x="a", priority_bulk=key)
        session.rollback()
        assert list(caught.value.fields) == ["priority-bulk"]
        assert f"There is no sender {key!r} here." in caught.value.fields["priority-bulk"][0]
        assert len(routes_of(session, "acme")) == 1


def test_a_route_forged_in_sql_leads_to_nobody_elses_sender(
    inside: HostApp, session: Session
) -> None:
    have(inside, "acme/", "acme/a", "globex/", "/", "/other")
    for partner_id, key, name in (("globex", "", "x"), ("", "other", "y")):
        stolen = load_sender(session, partner_id, key).sender_id
        session.add(Route(partner_id="acme", kind=TYPE, name=name, sender_id=stolen))
    session.commit()
    assert chosen(session, "x") == ("acme", "", "default")
    assert chosen(session, "y") == ("acme", "", "default")


def test_each_has_its_own_routes(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/a", "globex/", "globex/a", "globex/b")
    route(session, "acme", type_x="a")
    route(session, "globex", type_x="b", priority_bulk="a")
    assert chosen(session, "x") == ("acme", "a", "type")
    assert chosen(session, "", "bulk") == ("acme", "", "default")
    assert chosen(session, "x", partner_id="globex") == ("globex", "b", "type")
    route(session, "globex")
    assert chosen(session, "x") == ("acme", "a", "type")


def test_partners_whose_ids_differ_by_little(inside: HostApp, session: Session) -> None:
    have(inside, "acme/", "acme/a", "ACME/", "ACME/b", "acme /", "acme /c")
    route(session, "acme", type_x="a")
    route(session, "ACME", type_x="b")
    assert chosen(session, "x") == ("acme", "a", "type")
    assert chosen(session, "x", partner_id="ACME") == ("ACME", "b", "type")
    assert chosen(session, "x", partner_id="acme ") == ("acme ", "", "default")
    assert chosen(session, "X") == ("acme", "", "default")
