"""What people do with mail, in bulk: by selection and by filter, audited, and undone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import OperationalError

from smtp_admin.audit.models import Audit
from smtp_admin.audit.service import record
from smtp_admin.clock import now
from smtp_admin.database import beside_workers, database_now
from smtp_admin.delivery import batch_ends, bulk_actions
from smtp_admin.delivery.batch_ends import cancel_batch
from smtp_admin.delivery.bulk_actions import (
    TakenBack,
    act_on_filtered,
    act_on_selected,
    take_back,
)
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS, hurried_among
from smtp_admin.delivery.mail_log import GROUPS, MailFilter
from smtp_admin.delivery.models import Act, Counter, Delivery, Message
from smtp_admin.delivery.states import STATES, may
from smtp_admin.delivery.suppressed_mail import suppressed_among
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.errors import Conflict, RateLimited
from smtp_admin.mail.corrected import send_corrected
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.workbench import Workbench, deliveries, letter, queue, row_of
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.servers.scripted import ScriptedServer

ALL = MailFilter(None)
Bench = Callable[..., Workbench]
ACME = MailFilter(frozenset({"acme"}))


@contextmanager
def engine_of(host: HostApp) -> Iterator[Engine]:
    host.db.session.rollback()
    with beside_workers() as engine:
        yield engine
    host.db.session.rollback()


def set_all(host: HostApp, **values: Any) -> None:
    session = host.db.session()
    session.execute(update(Delivery).values(**values))
    session.commit()


def states(host: HostApp) -> list[str]:
    return [one.state for one in deliveries(host)]


def audits(host: HostApp) -> list[tuple[str, str, str]]:
    session = host.db.session()
    session.rollback()
    rows = session.scalars(select(Audit).where(Audit.action.like("mail.%")).order_by(Audit.id))
    return [(one.partner_id, one.action, one.detail) for one in rows]


def test_each_action_goes_where_a_delivery_may_go() -> None:
    after = {"retry": "queued", "hurry": "queued", "cancel": "cancelled", "discard": "cancelled",
             "arrived": "sent", "lost": "dead", "release": "queued"}  # fmt: skip
    for name, action in MAIL_ACTIONS.items():
        for before in action.states:
            assert name == "hurry" or may(before, after[name])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MAIL_ACTIONS)
def test_only_what_is_in_the_right_state_is_changed(each: HostApp, name: Any) -> None:
    action = MAIL_ACTIONS[name]
    each.save_sender()
    for number in range(len(STATES)):
        queue(each, f"n{number}@example.org")
    session = each.db.session()
    for number, state in enumerate(STATES):
        mine = update(Delivery).where(Delivery.recipient == f"n{number}@example.org")
        ended = None if state in GROUPS["waiting"] else now()
        session.execute(
            mine.values(state=state, finished_at=ended, attempts=1, last_code="timeout",
                        next_attempt_at=now() + timedelta(days=9999))
        )  # fmt: skip
    session.commit()
    before = states(each)
    with engine_of(each) as engine:
        ids = [one.id for one in deliveries(each)]
        done = act_on_selected(engine, ADMIN, action, ALL, ids)
    assert done.count == len(action.states)
    for was, one in zip(before, deliveries(each), strict=True):
        if was not in action.states:
            assert one.state == was
        elif name == "hurry":
            assert one.next_attempt_at <= now()
        else:
            assert one.state != was


def test_by_filter_and_only_ones_own(each: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps, each partner's with a row in its audit log that says how many in the end."""
    monkeypatch.setattr(bulk_actions, "_STEP", 2)
    each.save_sender()
    each.save_sender("globex")
    for number in range(5):
        queue(each, f"n{number}@example.org")
        queue(each, f"n{number}@example.org", partner_id="globex")
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ACME_ADMIN, MAIL_ACTIONS["cancel"], ACME)
    assert done.count == 5
    assert sorted(states(each)) == ["cancelled"] * 5 + ["queued"] * 5
    assert audits(each) == [("acme", "mail.cancelled", "5 mails")]
    with engine_of(each) as engine:
        act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL)
    assert audits(each)[1:] == [("globex", "mail.cancelled", "5 mails")]
    with engine_of(each) as engine, pytest.raises(Conflict):
        act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL)
    assert len(audits(each)) == 2


def test_ids_of_others_are_left_alone(each: HostApp) -> None:
    each.save_sender("globex")
    queue(each, partner_id="globex")
    ids = [one.id for one in deliveries(each)]
    with engine_of(each) as engine, pytest.raises(Conflict):
        act_on_selected(engine, ACME_ADMIN, MAIL_ACTIONS["cancel"], ACME, [*ids, 10**12])
    assert states(each) == ["queued"]
    assert audits(each) == []


def test_cancelled_and_brought_back(each: HostApp, server: ScriptedServer, bench_of: Bench) -> None:
    each.save_sender(port=server.port)
    queue(each, "a@example.org", "b@example.org")
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL)
        assert done.can_be_undone
        with pytest.raises(Conflict):  # somebody else's
            take_back(engine, ADMIN, MailFilter(frozenset({"globex"})), done.at)
        with pytest.raises(Conflict):  # another moment
            take_back(engine, ADMIN, ALL, done.at.replace(year=2020))
        assert take_back(engine, ACME_ADMIN, ACME, done.at) == TakenBack(2)
        with pytest.raises(Conflict):  # once is enough
            take_back(engine, ADMIN, ALL, done.at)
    assert states(each) == ["queued", "queued"]
    assert audits(each)[1:] == [("acme", "mail.undone", "2 mails")]
    bench_of(each).work()
    assert states(each) == ["sent", "sent"]


def test_discarded_and_brought_back(each: HostApp) -> None:
    each.save_sender()
    queue(each)
    set_all(each, state="dead", last_code="recipient_refused", finished_at=now())
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS["discard"], ALL)
        assert states(each) == ["cancelled"]
        assert take_back(engine, ADMIN, ALL, done.at) == TakenBack(1)
    (one,) = deliveries(each)
    assert (one.state, one.last_code) == ("dead", "recipient_refused")


def test_what_carried_secrets_is_not_brought_back(each: HostApp) -> None:
    each.save_sender()
    queue(each)
    session = each.db.session()
    session.execute(update(Message).values(sensitive=True))
    session.commit()
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL)
        assert not done.can_be_undone
        with pytest.raises(Conflict):
            take_back(engine, ADMIN, ALL, done.at)
    assert states(each) == ["cancelled"]


def test_the_copy_to_the_archive_ends_with_the_last_recipient(each: HostApp) -> None:
    each.save_sender(archive_to="all@acme.example")
    queue(each, "a@example.org", "b@example.org")
    first, second, _ = deliveries(each)
    with engine_of(each) as engine:
        act_on_selected(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL, [first.id])
        assert states(each) == ["cancelled", "queued", "queued"]
        act_on_selected(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL, [second.id])
    assert states(each) == ["cancelled"] * 3


def test_a_filter_that_contradicts_the_action(each: HostApp) -> None:
    with engine_of(each) as engine, pytest.raises(Conflict):
        act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], replace(ALL, states=("sent",)))


def test_nobody_changes_mail_by_the_thousand_clicks(opened: Any) -> None:
    host: HostApp = opened(CHANGE_LIMIT="2 per 10 minutes")
    host.save_sender()
    for _ in range(3):
        queue(host)
    with engine_of(host) as engine:
        ids = [one.id for one in deliveries(host)]
        for one in ids[:2]:
            act_on_selected(engine, ACME_ADMIN, MAIL_ACTIONS["cancel"], ACME, [one])
        with pytest.raises(RateLimited):
            act_on_selected(engine, ACME_ADMIN, MAIL_ACTIONS["cancel"], ACME, [ids[2]])
    assert states(host) == ["cancelled", "cancelled", "queued"]


def test_time_is_up(each: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_actions, "_STEP", 1)
    monkeypatch.setattr(bulk_actions, "_LONGEST_SECONDS", 0.0)
    each.save_sender()
    queue(each)
    queue(each)
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL)
    assert (done.count, done.more) == (1, True)


@pytest.mark.parametrize("own_copies", [False, True])
def test_time_is_up_while_it_is_undone(
    each: HostApp, monkeypatch: pytest.MonkeyPatch, own_copies: bool
) -> None:
    """It says how many are left, and goes on with them; what comes back is what was ended.

    A copy to an archive comes back with what it is a copy of, and counts where it is seen.
    """
    monkeypatch.setattr(bulk_actions, "_STEP", 2)
    each.save_sender("", archive_to="all@platform.example")
    for partner_id in ("acme", "globex"):
        for number in range(2):
            queue(each, f"a{number}@example.org", f"b{number}@example.org", partner_id=partner_id)
    which = MailFilter(None, own_copies=own_copies)
    counts, left = [], [8 if own_copies else 12]
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], which)
        assert (done.count, set(states(each))) == (left[0], {"cancelled"})
        monkeypatch.setattr(bulk_actions, "_LONGEST_SECONDS", 0.0)
        while left[-1]:
            taken = take_back(engine, ADMIN, which, done.at)
            counts.append(taken.count)
            left.append(taken.left)
            assert sum(counts) + taken.left == done.count
    assert len(counts) == 4
    assert set(states(each)) == {"queued"}
    undone = [detail for _, action, detail in audits(each) if action == "mail.undone"]
    assert undone == [f"{count} mails" for count in counts]


def test_to_a_corrected_address(each: HostApp, server: ScriptedServer, bench_of: Bench) -> None:
    """A new mail with the same text, and a To and a Message-ID of its own."""
    each.save_sender(port=server.port, reply_to="help@acme.example")
    public_id = each.plugin.send_message(
        letter("Mia <Mia@exmaple.org>", cc=["tom@example.org"]), partner_id="acme"
    )
    each.db.session.commit()
    first = deliveries(each)[0]
    assert first.recipient == "Mia@exmaple.org"
    session = each.db.session()
    mine = update(Delivery).where(Delivery.id == first.id)
    session.execute(mine.values(state="dead", last_code="recipient_refused", finished_at=now()))
    session.commit()
    new = send_corrected(session, first.id, "mia@example.org").public_id
    session.commit()
    before, after = row_of(each, public_id), row_of(each, new)
    assert after.message_id != before.message_id
    bench_of(each).work()
    (mail,) = [one for one in server.messages if one.recipients == ["mia@example.org"]]
    assert b"Mia <mia@example.org>" in mail.data
    assert b"exmaple" not in mail.data
    assert mail.data.count(after.message_id.encode()) == 1
    assert mail.data.count(b"\r\nFrom: ") + mail.data.startswith(b"From: ") == 1
    assert sorted(states(each)) == ["cancelled", "sent", "sent"]


def test_what_an_action_would_do_is_known_before(each: HostApp) -> None:
    """Those that would be kept back, and those that wait for another try: as the actions do it."""
    each.save_sender()
    for number in range(4):
        queue(each, f"n{number}@example.org")
    session = each.db.session()
    ids = [one.id for one in deliveries(each)]
    later = now() + timedelta(minutes=5)
    failed = update(Delivery).where(Delivery.id.in_(ids[1:3]))
    session.execute(failed.values(attempts=1, next_attempt_at=later))
    suppress(session, "acme", "n2@example.org", "bounce")
    session.commit()
    (kept,) = [one.id for one in deliveries(each) if one.state == "suppressed"]
    assert hurried_among(session, ids, database_now(session)) == [ids[1]]
    set_all(each, state="dead", finished_at=now())
    assert suppressed_among(session, ids) == 1
    assert suppressed_among(session, [one for one in ids if one != kept]) == 0
    with engine_of(each) as engine:
        done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["retry"], ALL, ids)
    assert (done.count, done.kept_back) == (3, 1)


@pytest.mark.parametrize("state", ["bounced", "suppressed"])
def test_what_bounced_goes_to_a_corrected_address_too(host: HostApp, state: str) -> None:
    host.save_sender()
    queue(host)
    (one,) = deliveries(host)
    set_all(host, state=state)
    send_corrected(host.db.session(), one.id, "mia@example.org")
    host.db.session.commit()
    found = [(each.recipient, each.state) for each in deliveries(host)]
    assert found == [("you@example.org", state), ("mia@example.org", "queued")]


def test_only_dead_letters_with_a_text_are_readdressed(host: HostApp) -> None:
    host.save_sender()
    queue(host)
    session = host.db.session()
    (one,) = deliveries(host)
    with pytest.raises(Conflict, match="not delivered"):
        send_corrected(session, one.id, "mia@example.org")
    set_all(host, state="dead")
    session.execute(update(Message).values(content=b""))
    with pytest.raises(Conflict, match="erased"):
        send_corrected(session, one.id, "mia@example.org")


def test_secrets_go_to_nobody_else(host: HostApp) -> None:
    """Whoever may not read a mail cannot send it to an address of their own."""
    host.save_sender()
    queue(host)
    session = host.db.session()
    session.execute(update(Message).values(sensitive=True))
    set_all(host, state="dead")
    with pytest.raises(Conflict, match="secrets"):
        send_corrected(session, deliveries(host)[0].id, "thief@evil.example")
    session.rollback()
    assert states(host) == ["dead"]


def test_only_one_of_two_corrections_goes_out(host: HostApp) -> None:
    host.save_sender(archive_to="all@acme.example")
    queue(host)
    one, copy = deliveries(host)
    first, second = one.id, copy.id
    set_all(host, state="dead", last_code="recipient_refused")
    session = host.db.session()
    with pytest.raises(Conflict):  # no copy to an archive goes elsewhere
        send_corrected(session, second, "thief@evil.example")
    send_corrected(session, first, "mia@example.org")
    with pytest.raises(Conflict):
        send_corrected(session, first, "tom@example.org")
    session.commit()
    assert sorted((each.recipient, each.state) for each in deliveries(host)) == [
        ("all@acme.example", "dead"),
        ("all@acme.example", "queued"),
        ("mia@example.org", "queued"),
        ("you@example.org", "cancelled"),
    ]


def test_given_up_is_counted_once(shared_database: str, opened: Any) -> None:
    """However many give the same mail up at once."""
    host: HostApp = opened(uri=shared_database)
    host.save_sender()
    for _ in range(20):
        queue(host)
    set_all(host, state="uncertain", finished_at=now())
    ids = [one.id for one in deliveries(host)]
    counts: list[int] = []

    def give_up() -> None:
        with host.app.app_context(), beside_workers() as engine:
            try:
                done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["lost"], ALL, ids)
            except Conflict:
                return
            counts.append(done.count)

    host.db.session.rollback()
    threads = [Thread(target=give_up) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(counts) == 20
    assert host.db.session().scalar(select(func.sum(Counter.dead))) == 20


def test_the_copy_comes_back_with_whoever_does(each: HostApp) -> None:
    each.save_sender(archive_to="all@acme.example")
    queue(each, "a@example.org", "b@example.org")
    first, second = (one.id for one in deliveries(each)[:2])
    with engine_of(each) as engine:
        done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL, [first])
        act_on_selected(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL, [second])
        take_back(engine, ADMIN, ALL, done.at)
    assert states(each) == ["queued", "cancelled", "queued"]


def test_mail_of_a_cancelled_batch_comes_back_with_it_alone(each: HostApp) -> None:
    add_newsletter(each)
    each.save_sender()
    batch = each.plugin.send_many(NAME, people(2), partner_id="acme")
    each.db.session.commit()
    first, second = (one.id for one in deliveries(each))
    with engine_of(each) as engine:
        done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL, [first])
        cancel_batch(engine, batch)
        with pytest.raises(Conflict):
            take_back(engine, ADMIN, ALL, done.at)
        session = each.db.session()
        session.execute(update(Delivery).where(Delivery.id == second).values(state="dead"))
        session.commit()
        with pytest.raises(Conflict):
            act_on_selected(engine, ADMIN, MAIL_ACTIONS["retry"], ALL, [second])
    assert states(each) == ["cancelled", "dead"]


def test_the_limit_of_changes_stops_nothing_in_the_middle(opened: Any) -> None:
    host: HostApp = opened(CHANGE_LIMIT="4 per 10 minutes")
    for _ in range(3):
        record(host.db.session(), ACME_ADMIN, "acme", "mail.cancelled")
    for partner_id in ("acme", "globex", "initech"):
        host.save_sender(partner_id)
        queue(host, partner_id=partner_id)
    with engine_of(host) as engine:
        done = act_on_filtered(engine, ACME_ADMIN, MAIL_ACTIONS["cancel"], ALL)
    assert done.count == 3


def test_a_step_begins_again_where_another_got_in_its_way(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadlock in the middle: what was done before stays, and each mail and act counts once."""
    monkeypatch.setattr(bulk_actions, "_STEP", 2)
    monkeypatch.setattr(batch_ends, "_AT_ONCE", 2)

    def every_second_fails(module: Any, name: str) -> None:
        works, calls = getattr(module, name), iter(range(99))

        def sometimes(*about: Any) -> Any:
            found = works(*about)
            if next(calls) % 2:
                raise OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))
            return found

        monkeypatch.setattr(module, name, sometimes)

    every_second_fails(bulk_actions, "_write_down")
    every_second_fails(batch_ends, "erase_sensitive")
    add_newsletter(each)
    each.save_sender()
    queue(each, *(f"{number}@example.org" for number in range(5)))
    with engine_of(each) as engine:
        done = act_on_filtered(engine, ADMIN, MAIL_ACTIONS["cancel"], ALL)
        assert (done.count, take_back(engine, ADMIN, ALL, done.at)) == (5, TakenBack(5))
    batch = each.plugin.send_many(NAME, people(5), partner_id="acme")
    each.db.session.commit()
    with engine_of(each) as engine:
        assert cancel_batch(engine, batch) == 5
    session = each.db.session()
    kinds = session.execute(select(Act.kind, func.count()).group_by(Act.kind)).all()
    assert {tuple(one) for one in kinds} == {("cancel", 5), ("undo", 5), ("batch_cancel", 5)}
    details = select(Audit.detail).where(Audit.action.in_(("mail.cancelled", "mail.undone")))
    assert session.scalars(details).all() == ["5 mails"] * 2
