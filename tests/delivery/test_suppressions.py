"""A suppressed address gets no mail: newly queued, already waiting, or tried again."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from io import BytesIO
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now, shifted
from smtp_admin.database import database_now, transaction
from smtp_admin.delivery.batch_ends import cancel_batch
from smtp_admin.delivery.batches import show_batch
from smtp_admin.delivery.bulk_actions import act_on_selected
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS, cancel_queued, release, undo
from smtp_admin.delivery.mail_log import MailFilter
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.refused_addresses import suppress_refused
from smtp_admin.delivery.suppressions import lift, suppress, suppress_all
from smtp_admin.erasure.finding import Search
from smtp_admin.mail.types import SHIPPED
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reading import address_hash, suppressions_of
from smtp_admin.suppression.reasons import REASONS, Reason
from smtp_admin.suppression.writing import row_of
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.test_mail_actions import engine_of
from tests.delivery.workbench import (
    Workbench,
    deliveries,
    erase_now,
    letter,
    queue,
    sender_row,
)
from tests.delivery.workbench import row_of as message_of
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.patience import SECONDS
from tests.servers.scripted import ScriptedServer, Session

NEWS = {"name": "Mia", "code": 1}
RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
MIA = "mia@example.org"


def news(host: HostApp, to: str = MIA, **more: Any) -> str:
    public_id = host.plugin.send(NAME, to=to, partner_id="acme", context=NEWS, **more)
    host.db.session.commit()
    return public_id


def reset(host: HostApp, to: str = MIA) -> str:
    public_id = host.plugin.send("password_reset", to=to, partner_id="acme", context=RESET)
    host.db.session.commit()
    return public_id


def stop(host: HostApp, reason: Reason, address: str = MIA, **more: Any) -> int:
    kept = suppress(host.db.session(), more.pop("partner_id", "acme"), address, reason, **more)
    host.db.session.commit()
    return kept.kept_back


def states(host: HostApp) -> list[str]:
    return [one.state for one in deliveries(host)]


def listed(host: HostApp) -> list[str]:
    """The addresses that are suppressed by now, whatever the session has read before."""
    host.db.session.rollback()
    return [*host.db.session.scalars(select(Suppression.address))]


@pytest.fixture
def club(opened: NewHost) -> HostApp:
    host = opened()
    add_newsletter(host, notice=True)
    host.save_sender()
    return host


# --- Which mail ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "category", "notice_goes", "reset_goes"),
    [
        ("bounce", "", False, False),
        ("soft_bounces", "", False, False),
        ("complaint", "", False, True),
        ("unsubscribe", NAME, False, True),
        ("unsubscribe", "welcome", True, True),
        # Even by hand: what must be delivered is stopped by nothing but "all".
        ("manual", "password_reset", True, True),
        ("manual", "notices", False, True),
        ("manual", "all", False, False),
    ],
)
def test_what_each_stops(
    club: HostApp, reason: Reason, category: str, notice_goes: bool, reset_goes: bool
) -> None:
    stop(club, reason, category=category)
    news(club)
    reset(club)
    news(club, "tom@example.org")
    expected = [("queued" if one else "suppressed") for one in (notice_goes, reset_goes, True)]
    assert states(club) == expected
    for one in deliveries(club):
        if one.state == "suppressed":
            assert (one.last_code, one.last_error) == ("suppressed", REASONS[reason].sentence)
            assert one.finished_at is not None


def test_however_it_is_written_and_of_one_partner_only(each: HostApp) -> None:
    each.save_sender()
    each.save_sender("globex")
    stop(each, "bounce", "Mia@Example.ORG", detail="550 5.1.1 no such user")
    queue(each, "mIA@example.org", "tom@example.org")
    queue(each, MIA, partner_id="globex")
    stop(each, "bounce", MIA, partner_id="initech")  # what waits of others stays
    assert [(one.recipient, one.state) for one in deliveries(each)] == [
        ("mIA@example.org", "suppressed"), ("tom@example.org", "queued"), (MIA, "queued"),
    ]  # fmt: skip
    first = deliveries(each)[0]
    assert first.last_error.endswith("(550 5.1.1 no such user)")


def test_each_reason_stands_for_itself(each: HostApp) -> None:
    """The same again changes nothing of the first; and of several the strongest is told."""
    each.save_sender()
    session = each.db.session()
    assert suppress(session, "acme", MIA, "unsubscribe", category="all", detail="own").new
    assert suppress(session, "acme", MIA, "manual", category="all", detail="by hand").new
    assert suppress(session, "acme", MIA, "bounce", detail="first").new
    assert not suppress(session, "acme", MIA, "bounce", detail="second").new
    assert suppress(session, "acme", MIA, "complaint").new
    session.commit()
    rows = suppressions_of(session, "acme", MIA)
    assert [(one.category, one.reason, one.detail) for one in rows] == [
        ("all", "bounce", "first"), ("all", "manual", "by hand"), ("notices", "complaint", ""),
        ("all", "unsubscribe", "own"),
    ]  # fmt: skip
    for words in ("(first)", "(by hand)", "(own)"):
        queue(each, MIA)
        last = deliveries(each)[-1]
        assert last.state == "suppressed"
        assert last.last_error.endswith(words)
        strongest = suppressions_of(session, "acme", MIA, categories=["all"])[0].reason
        assert lift(session, "acme", MIA, reasons=[strongest]) == 1
        session.commit()
    queue(each, MIA)
    assert states(each)[-1] == "queued"


def test_a_test_mail_goes_out_all_the_same(club: HostApp, server: ScriptedServer) -> None:
    club.save_sender(port=server.port)
    stop(club, "bounce", "ada@example.org")
    answer = club.client.post(
        "/smtp-admin/partners/acme/test-email",
        data={"to": "ada@example.org"},
        headers={"Accept": "application/json"},
    )
    assert answer.status_code == 202, answer.text
    assert states(club) == ["queued"]


def test_nobody_needs_a_secret_that_is_not_sent(club: HostApp) -> None:
    public_id = reset(club)
    waiting = deliveries(club)[0]
    assert waiting.state == "queued"
    assert stop(club, "bounce") == 1
    assert message_of(club, public_id).content == b""
    assert message_of(club, reset(club)).content == b""


# --- What waits, and what is tried again ---------------------------------------------------------


def test_what_waits_is_kept_back(
    each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer
) -> None:
    add_newsletter(each, notice=True)
    each.save_sender(port=server.port, archive_to="archive@acme.example")
    news(each)
    news(each, "tom@example.org")
    reset(each)
    assert stop(each, "complaint") == 1
    bench_of(each).tick()
    found = {(one.recipient, one.state) for one in deliveries(each)}
    # The copy of her news for the archive ends with it.
    assert found == {
        (MIA, "suppressed"), (MIA, "sent"), ("tom@example.org", "sent"),
        ("archive@acme.example", "suppressed"), ("archive@acme.example", "sent"),
    }  # fmt: skip
    assert len(server.messages) == 3


def test_a_list_keeps_back_what_waits(each: HostApp) -> None:
    each.save_sender()
    for number in range(4):
        queue(each, f"n{number}@example.org")
    rows = [row_of("acme", f"N{number}@example.org", "manual") for number in range(2)]
    session = each.db.session()
    assert suppress_all(session, "acme", rows) == 2
    assert suppress_all(session, "acme", rows) == 0
    session.commit()
    assert states(each) == ["suppressed", "suppressed", "queued", "queued"]


def test_two_lists_at_once(each: HostApp) -> None:
    """With the same addresses in another order, beside a worker that keeps some back."""
    each.save_sender()
    queue(each, "n7@example.org")
    rows = [row_of("acme", f"n{number}@example.org", "manual") for number in range(3000)]
    begin = Barrier(2)

    def take(some: list[dict[str, Any]]) -> int:
        with each.app.app_context():
            session = each.db.session()
            begin.wait(SECONDS)
            new = suppress_all(session, "acme", some)
            session.commit()
            each.db.session.remove()
            return new

    with ThreadPoolExecutor(2) as pool:
        found = [*pool.map(take, (rows, rows[::-1]))]
    session = each.db.session()
    assert session.scalar(select(func.count(Suppression.id))) == len(rows)
    assert max(found) == len(rows)
    assert states(each) == ["suppressed"]


def test_a_dead_letter_is_not_sent_to_it_again(each: HostApp) -> None:
    """Nor what a limit kept back; after the suppression is gone, all of it is."""
    each.save_sender()
    queue(each, MIA)
    queue(each, "tom@example.org")
    each.db.session.execute(update(Delivery).values(state="dead"))
    each.db.session.commit()
    stop(each, "bounce")
    ids = [one.id for one in deliveries(each)]
    everything = MailFilter(None)
    with engine_of(each) as engine:
        done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["retry"], everything, ids)
    assert (done.count, done.kept_back, states(each)) == (1, 1, ["suppressed", "queued"])
    with engine_of(each) as engine:
        done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["release"], everything, ids)
    assert (done.count, done.kept_back, states(each)) == (0, 1, ["suppressed", "queued"])
    session = each.db.session()
    session.rollback()
    details = session.scalars(select(Audit.detail).where(Audit.action.like("mail.%")))
    assert set(details) == {"1 mail, 1 kept back", "0 mails, 1 kept back"}
    assert lift(session, "acme", MIA) == 1
    session.commit()
    assert states(each) == ["suppressed", "queued"], "what was kept back is not sent by itself"
    with engine_of(each) as engine:
        done = act_on_selected(engine, ADMIN, MAIL_ACTIONS["release"], everything, ids)
    assert (done.count, states(each)) == (1, ["queued", "queued"])


def test_suppressed_while_a_server_has_it(
    each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer
) -> None:
    """What is being given goes out; but if it is refused for now, it is not tried again."""
    each.save_sender(port=server.port)

    def unsubscribe(_server: ScriptedServer, _session: Session, line: str) -> bytes:
        with each.app.app_context():
            stop(each, "bounce", line.partition("<")[2].partition(">")[0])
            each.db.session.remove()
        return b"451 4.2.1 later\r\n"

    server.behave("rcpt", unsubscribe)
    queue(each, MIA)
    bench_of(each).tick()
    assert states(each) == ["suppressed"]


def test_suppressed_while_the_app_s_transaction_was_open(
    each: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer
) -> None:
    """Neither sees the other: the mail is not committed, nor was the suppression when it looked."""
    add_newsletter(each, notice=True)
    each.save_sender(port=server.port)
    bench = bench_of(each)

    def suppress_beside(*_: Any) -> None:
        with transaction(bench.engine) as other:
            assert suppress(other, "acme", MIA, "bounce", detail="550").kept_back == 0
            suppress(other, "acme", "tom@example.org", "unsubscribe", category=NAME)

    sqlite = each.db.engine.dialect.name == "sqlite"
    if sqlite:
        # It lets one write at a time: all that can come between is before the first row.
        event.listen(each.db.engine, "before_cursor_execute", _once_before_mail(suppress_beside))
    each.plugin.send_message(letter(MIA, "tom@example.org"), partner_id="acme")
    each.plugin.send("password_reset", to=MIA, partner_id="acme", context=RESET)
    each.plugin.send(NAME, to="tom@example.org", partner_id="acme", context=NEWS)
    if not sqlite:
        suppress_beside()
    each.db.session.commit()
    bench.tick()
    found = [(one.recipient, one.state, one.last_error) for one in deliveries(each)]
    bounced = f"{REASONS['bounce'].sentence} (550)"
    expected = [
        (MIA, "suppressed", bounced), ("tom@example.org", "sent", ""),
        (MIA, "suppressed", bounced),
        ("tom@example.org", "suppressed", REASONS["unsubscribe"].sentence),
    ]  # fmt: skip
    assert found == expected
    assert len(server.messages) == 1
    contents = each.db.session.scalars(select(Message.content).order_by(Message.id)).all()
    assert [bool(one) for one in contents] == [True, False, True], "no text with a secret is kept"
    # Sent after all, it goes through the same look: only without the suppression it leaves.
    ids = [deliveries(each)[0].id]
    for lifted, state in ((False, "suppressed"), (True, "sent")):
        session = each.db.session()
        if lifted:
            lift(session, "acme", MIA)
        release(session, ids, database_now(session))
        session.commit()
        bench.tick()
        assert deliveries(each)[0].state == state


def _once_before_mail(act: Callable[[], None]) -> Callable[..., None]:
    """Do *act* before the first mail is written, whoever writes it."""
    left = [act]

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if left and statement.startswith("INSERT INTO smtp_admin_message"):
            left.pop()()

    return before


def test_a_test_goes_out_though_its_writer_is_suppressed(
    club: HostApp, bench_of: Callable[..., Workbench], server: ScriptedServer
) -> None:
    """Somebody who tries the link of a newsletter gets the next trial all the same."""
    club.save_sender(port=server.port)
    stop(club, "bounce", ADMIN.email)
    answer = club.client.post(
        f"/smtp-admin/templates/partners/acme/{NAME}/en",
        data={"do": "send", "subject": "Hello", "text": "Dear {{ name }}"},
    )
    assert "is on its way" in answer.text
    stop(club, "manual", ADMIN.email, category="notices")  # what waits stays too
    bench_of(club).tick()
    assert states(club) == ["sent"]


def test_suppressed_while_nobody_knew_what_became_of_it(each: HostApp) -> None:
    each.save_sender()
    queue(each, MIA)
    session = each.db.session()
    session.execute(update(Delivery).values(state="uncertain", uncertains=1))
    session.commit()
    stop(each, "bounce")
    with engine_of(each) as engine:
        settle_unknown(each.app, engine)
    session.rollback()
    assert states(each) == ["suppressed"]


def test_suppressed_while_its_batch_was_cancelled(each: HostApp) -> None:
    """And while it was cancelled alone, which somebody undoes then."""
    add_newsletter(each, notice=True)
    each.save_sender()
    everybody = list(people(2))
    public_id = each.plugin.send_many(NAME, everybody, partner_id="acme", batch_key="may")
    each.db.session.commit()
    with engine_of(each) as engine:
        cancel_batch(engine, public_id)
    stop(each, "unsubscribe", everybody[0].address, category=NAME)
    each.plugin.send_many(NAME, everybody, partner_id="acme", batch_key="may", resume=True)
    each.db.session.commit()
    assert states(each) == ["suppressed", "queued"]
    session = each.db.session()
    ids = [one.id for one in deliveries(each)]
    moment = database_now(session)
    cancel_queued(session, ids, moment)
    session.commit()
    stop(each, "unsubscribe", everybody[1].address, category=NAME)
    undo(session, ids, moment, database_now(session))
    session.commit()
    assert states(each) == ["suppressed", "suppressed"]


def test_a_batch_counts_them(each: HostApp) -> None:
    add_newsletter(each, notice=True)
    each.save_sender()
    everybody = list(people(5))
    stop(each, "unsubscribe", everybody[1].address, category=NAME)
    public_id = each.plugin.send_many(NAME, everybody, partner_id="acme")
    each.db.session.commit()
    assert states(each).count("suppressed") == 1
    assert show_batch(each.db.session(), public_id).suppressed == 1


# --- The table -----------------------------------------------------------------------------------


def test_found_by_a_domain_in_other_letters(opened: NewHost) -> None:
    host = opened()
    host.plugin.suppress("Mia@Bücher.example", partner_id="acme")
    host.db.session.commit()
    page = "/smtp-admin/partners/acme/suppressions?q="
    for asked in ("mia@bücher.example", "MIA@xn--bcher-kva.example"):
        found = host.client.get(page + asked, headers={"Accept": "application/json"}).json
        assert found
        assert len(found["suppressions"]) == 1, asked


def test_a_list_of_ours_comes_back_after_somebody_was_erased(opened: NewHost) -> None:
    """It holds a hash then; the rest of the list must not be lost for it, nor the hash."""
    host = opened()
    session = host.db.session()
    stop(host, "bounce")
    stop(host, "bounce", "tom@example.org")
    erase_now(host, Search(MIA))
    page = "/smtp-admin/partners/acme/suppressions"
    list_ = host.client.get(f"{page}?export=csv").text
    assert MIA not in list_
    session.execute(delete(Suppression))
    session.commit()
    answer = host.client.post(
        "/smtp-admin/partners/acme/suppressions/import", data={"csv": list_},
        headers={"Accept": "application/json"},
    )  # fmt: skip
    assert answer.json == {
        "ok": True, "rows": 2, "new": 2, "ignored_columns": ["at", "partner"],
    }  # fmt: skip
    session.rollback()
    rows = session.scalars(select(Suppression).order_by(Suppression.address)).all()
    assert [one.address for one in rows] == ["", "tom@example.org"]
    assert rows[0].address_hash == address_hash(MIA)


def test_the_hash_outlives_the_address(each: HostApp) -> None:
    session = each.db.session()
    suppress(session, "acme", MIA, "bounce")
    session.execute(update(Suppression).values(address=""))
    session.commit()
    each.save_sender()
    queue(each, MIA)
    assert states(each) == ["suppressed"]
    suppress(session, "acme", MIA, "manual", category="all")
    session.commit()
    named = {*session.scalars(select(Suppression.address))}
    assert named == {MIA}, "whoever adds it anew has named it"
    assert lift(session, "acme", hashed=address_hash(MIA)) == 2


def test_in_one_transaction(each: HostApp) -> None:
    """What was looked up for the first mail does not hold for one after a suppression."""
    each.save_sender()
    send = each.plugin.send_message
    send(letter(MIA), partner_id="acme")
    each.plugin.suppress(MIA, partner_id="acme")
    send(letter(MIA), partner_id="acme")
    each.plugin.unsuppress(MIA, partner_id="acme")
    send(letter(MIA), partner_id="acme")
    each.db.session.commit()
    assert states(each) == ["suppressed", "suppressed", "queued"]


def test_a_notice_is_known_as_one(club: HostApp) -> None:
    news(club)
    reset(club)
    flags = club.db.session.scalars(select(Message.notice).order_by(Message.id)).all()
    assert list(flags) == [True, False]


REFUSED = "550 5.1.1 <mia@example.org>: no such user here"


def refuse_mia(server: ScriptedServer, reply: str) -> None:
    """Let the server know everybody else."""

    def answer(_server: ScriptedServer, _session: Session, line: str) -> bytes | None:
        return f"{reply}\r\n".encode() if "mia@" in line.lower() else b"250 2.1.5 ok\r\n"

    server.behave("rcpt", answer)


def test_an_address_that_is_refused_at_once_gets_nothing_more(
    each: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    each.save_sender(port=server.port)
    refuse_mia(server, REFUSED)
    bench = bench_of(each)
    queue(each, "tom@example.org")
    first = queue(each, MIA)
    bench.work()
    assert sorted(states(each)) == ["dead", "sent"]
    row = each.db.session.scalars(select(Suppression)).one()
    assert (row.partner_id, row.address, row.category) == ("acme", MIA, "all")
    assert (row.reason, row.detail, row.mail_id) == ("bounce", REFUSED, first)
    queue(each, "Mia@Example.org")
    bench.work()
    assert states(each)[-1] == "suppressed"
    assert "refused for good" in deliveries(each)[-1].last_error


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        ("552 5.2.2 mailbox full", "dead"), ("550 5.7.1 spam", "dead"),
        ("450 4.1.1 try later", "queued"), ("554 5.6.0 not this text", "dead"),
    ],
)  # fmt: skip
def test_other_refusals_say_nothing_against_an_address(
    host: HostApp,
    bench_of: Callable[[HostApp], Workbench],
    server: ScriptedServer,
    reply: str,
    what: str,
) -> None:
    host.save_sender(port=server.port)
    refuse_mia(server, reply)
    queue(host, "tom@example.org")
    queue(host, MIA)
    bench_of(host).work()
    assert states(host) == ["sent", what]
    assert host.db.session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_a_server_that_took_nothing_lately_is_not_believed(
    host: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """It may be broken, and refuse everyone."""
    host.save_sender(port=server.port)
    refuse_mia(server, REFUSED)
    bench = bench_of(host)
    queue(host, MIA)
    bench.work()
    queue(host, "tom@example.org")
    bench.work()
    assert states(host) == ["dead", "sent"]
    assert host.db.session.scalar(select(func.count()).select_from(Suppression)) == 0
    with shifted(timedelta(hours=25)):
        queue(host, MIA)
        bench.work()
    assert host.db.session.scalar(select(func.count()).select_from(Suppression)) == 0
    with shifted(timedelta(hours=23)):
        queue(host, MIA)
        bench.work()
    assert host.db.session.scalar(select(func.count()).select_from(Suppression)) == 1


def test_another_server_is_not_believed_for_what_the_one_before_it_took(
    each: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """Somebody entered the wrong one, which knows none of the recipients."""
    each.save_sender(port=server.port)
    bench = bench_of(each)
    queue(each, "tom@example.org")
    bench.work()
    with ScriptedServer() as wrong:
        refuse_mia(wrong, REFUSED)
        each.save_sender(port=wrong.port)
        queue(each, MIA)
        bench.work()
        assert states(each) == ["sent", "dead"]
        assert listed(each) == []
        queue(each, "tom@example.org")
        queue(each, MIA)
        bench.work()
    assert states(each)[2:] == ["sent", "dead"]
    assert listed(each) == [MIA]


def test_many_refusals_are_not_believed_for_one_mail_after_them(
    host: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """The server found the list of its users again, in the middle of a batch."""
    host.save_sender(port=server.port)
    refuse_mia(server, REFUSED)
    bench, moment = bench_of(host), now()
    for number in range(22):
        queue(host, f"mia@n{number}.example")
    queue(host, "tom@example.org")
    wrong = [(one.id, False) for one in deliveries(host)[:-1]]
    bench.work()
    assert states(host) == ["dead"] * 22 + ["sent"]
    told = [*wrong, (deliveries(host)[-1].id, True)]
    sender_id, session = sender_row(host).id, host.db.session()
    session.execute(delete(Suppression))
    assert suppress_refused(session, sender_id, told, moment) == 0
    assert suppress_refused(session, sender_id, told[2:], moment) == 20
    session.rollback()


def refuse_all_but(server: ScriptedServer, *known: str) -> None:
    """Let the server know no other mailboxes."""

    def answer(_server: ScriptedServer, _session: Session, line: str) -> bytes:
        return b"250 ok\r\n" if any(one in line for one in known) else f"{REFUSED}\r\n".encode()

    server.behave("rcpt", answer)


def test_of_a_server_that_refuses_everyone_at_once_little_is_believed(
    each: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """It lost the list of its users in the middle of a batch: few are given up for that."""
    each.save_sender(port=server.port)
    refuse_all_but(server, "tom@", "ann@")
    bench = bench_of(each)
    queue(each, "wrong@example.org")  # of this one it is believed, for others come after it
    queue(each, "tom@example.org")
    for number in range(150):
        queue(each, f"n{number}@example.org")
    bench.work()
    assert states(each) == ["dead", "sent"] + ["dead"] * 150
    before = {*listed(each)}
    assert "wrong@example.org" in before
    assert len(before) <= 21, "as many as may be in a row"
    queue(each, "n149@example.org")
    bench.work()
    assert states(each)[-1] == "dead"
    assert {*listed(each)} == before
    # It is well again.
    queue(each, "ann@example.org")
    queue(each, MIA)
    bench.tick(timedelta(seconds=1))
    assert states(each)[-2:] == ["sent", "dead"]
    assert {*listed(each)} - before == {MIA}


def test_refusals_in_a_row_count_over_what_is_written_down_together(
    each: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """Those that were written down with the last success came after it."""
    each.save_sender(port=server.port)

    refuse_all_but(server, "tom@")
    bench = bench_of(each)
    queue(each, "tom@example.org")
    for part in range(2):
        for number in range(15):
            queue(each, f"n{part}{number}@example.org")
        bench.work()
    assert {*listed(each)} == {f"n0{number}@example.org" for number in range(15)}


def test_a_success_ends_no_row_of_refusals_that_was_too_long(
    each: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """The last of many refusals, written down with the success after them, are of that row."""
    each.save_sender(port=server.port)

    refuse_all_but(server, "tom@")
    bench = bench_of(each)
    for part in (range(25), range(25, 27)):
        for number in part:
            queue(each, f"n{number}@example.org")
        if 26 in part:
            queue(each, "tom@example.org")
            queue(each, MIA)
        bench.work()
    assert listed(each) == [MIA]


def test_two_workers_hear_of_the_same_wrong_addresses(
    each: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """Each by another sender, while a list names them too: all of it ends, and each stands once.

    Both have claimed their first mails when the list begins, and hear the first refusal when it has
    been in the way of a mail that waits.
    """
    wrong = [f"n{number}@example.org" for number in range(40)]
    rows = [row_of("acme", one, "manual") for one in wrong[::3]]

    refuse_all_but(server, "tom")
    both_have_some, began = Barrier(3), Event()

    def hold(_server: ScriptedServer, _session: Session, _line: str) -> None:
        both_have_some.wait(SECONDS)
        assert began.wait(SECONDS)

    server.behave("mail", [hold, hold, None])
    for key in ("", "news"):
        each.save_sender(port=server.port, key=key)
        for number, one in enumerate(wrong):
            queue(each, one, sender=key or None)
            if number % 8 == 0:
                queue(each, f"tom{number}@example.org", sender=key or None)
    benches = {key: bench_of(each) for key in ("", "news")}
    each.db.session.remove()

    def work(key: str) -> None:
        with each.app.app_context():
            benches[key].work("acme", key)
            each.db.session.remove()

    def take(_: str) -> None:
        with each.app.app_context():
            both_have_some.wait(SECONDS)
            for part in (rows[-1:], rows):
                suppress_all(each.db.session(), "acme", part)
                each.db.session.commit()
                began.set()
            each.db.session.remove()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work, ""), pool.submit(work, "news"), pool.submit(take, "")]:
            done.result(2 * SECONDS)
    benches[""].tick(timedelta(seconds=1))  # what came a moment too late for its sender
    found = states(each)
    assert set(found) == {"dead", "suppressed", "sent"}
    assert found.count("sent") == 10
    stands = select(Suppression.address, Suppression.reason)
    rows_there = [tuple(row) for row in each.db.session.execute(stands)]
    assert len({*rows_there}) == len(rows_there)
    assert {address for address, _ in rows_there} == {*wrong}


def test_many_refusals_cost_few_statements(
    host: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    """While they are written, nobody else writes on SQLite."""
    host.save_sender(port=server.port)
    refuse_mia(server, REFUSED)
    bench, before = bench_of(host), 0
    counted: list[int] = []
    for number in (2, 18):
        queue(host, "tom@example.org")
        for one in range(number):
            queue(host, f"mia@n{number}-{one}.example")
        counted.append(0)

        def count(*_: Any) -> None:
            counted[-1] += 1

        event.listen(bench.engine, "before_cursor_execute", count)
        bench.work()
        event.remove(bench.engine, "before_cursor_execute", count)
        found = host.db.session.scalar(select(func.count(Suppression.id))) or 0
        assert found == before + number
        before = found
        host.db.session.rollback()
    assert counted[1] - counted[0] <= 16 * 3


def test_a_test_mail_to_a_wrong_address_suppresses_nothing(
    host: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    host.save_sender(port=server.port)
    refuse_mia(server, REFUSED)
    bench = bench_of(host)
    queue(host, "tom@example.org")
    host.plugin.send(
        "test",
        to=MIA,
        partner_id="acme",
        context=next(one.sample for one in SHIPPED if one.name == "test"),
    )
    host.db.session.commit()
    bench.work()
    assert states(host) == ["sent", "dead"]
    assert host.db.session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_the_page_of_a_mail_says_that_its_address_is_suppressed(
    host: HostApp, bench_of: Callable[[HostApp], Workbench], server: ScriptedServer
) -> None:
    host.actor = ADMIN
    host.save_sender(port=server.port)
    refuse_mia(server, REFUSED)
    queue(host, "tom@example.org")
    public_id = queue(host, MIA)
    bench_of(host).work()
    text = host.client.get(f"/smtp-admin/mail/{public_id}", headers={"Accept": "text/html"}).text
    assert "/smtp-admin/partners/acme/suppressions?q=mia@example.org" in text.replace("%40", "@")
    assert "suppressed</a>: Bounced." in text


def test_a_list_with_bad_lines_is_told_whole_and_imported_without_them(host: HostApp) -> None:
    page = "/smtp-admin/partners/acme/suppressions"
    html = {"Accept": "text/html"}
    list_ = "Email;Note;Since\nmia@example.org;Asked by phone;2024\nnobody;;\ntom@example.org\n"
    refused = host.client.post(f"{page}/import", data={"csv": list_}, headers=html)
    assert refused.status_code == 400
    assert "1 line cannot be used" in refused.text
    assert "line 3: " in refused.text
    assert list_.strip() in refused.text, "the file need not be chosen again"
    assert not host.db.session.scalars(select(Suppression)).all()
    host.db.session.rollback()
    skipping = {"csv": list_, "skip": "3"}
    done = host.client.post(
        f"{page}/import", data=skipping, headers=html, follow_redirects=True
    ).text
    assert "2 addresses are new. Columns not used: Since." in done
    rows = host.db.session.scalars(select(Suppression).order_by(Suppression.address)).all()
    assert [(one.address, one.detail) for one in rows] == [
        ("mia@example.org", "Asked by phone"), ("tom@example.org", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "list_",
    [
        "\n\nmia@example.org\nnobody\ntom@example.org\n",
        "\r\n \r\nEmail,Note\r\nmia@example.org,a\r\nnobody,b\r\ntom@example.org,c",
        "\tEmail\n1\tmia@example.org\n2\tnobody\n3\ttom@example.org",
        'Email,Note\rmia@example.org,"in two\rlines"\rnobody,b\rtom@example.org,c\r',
    ],
)
def test_the_lines_of_a_file_keep_their_numbers(host: HostApp, list_: str) -> None:
    """A page shows the file, and the browser sends that back with the lines to skip."""
    page = "/smtp-admin/partners/acme/suppressions/import"
    html = {"Accept": "text/html"}
    file = (BytesIO(list_.encode()), "list.csv")
    refused = host.client.post(page, data={"file": file}, headers=html).text
    skip = re.search(r'name="skip"\s+value="([0-9,]+)"', refused)
    shown = re.search(r'<textarea[^>]*name="csv"[^>]*>\n?(.*?)</textarea>', refused, re.DOTALL)
    assert skip is not None
    assert shown is not None
    sent = re.sub(r"\r\n|\r|\n", "\r\n", unescape(shown[1]))
    done = host.client.post(page, data={"csv": sent, "skip": skip[1]}, headers=html)
    assert done.status_code == 303, done.text
    rows = host.db.session.scalars(select(Suppression.address).order_by(Suppression.address))
    assert rows.all() == [MIA, "tom@example.org"]
