"""How a sender's attempts failed lately, by kind: of this sender, of this day, of this partner."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

from smtp_admin.clock import now, shifted
from smtp_admin.delivery.refusals import Refusal, refusals
from smtp_admin.senders.pauses import resume
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import Workbench, queue, sender_row
from tests.servers.scripted import Reply, ScriptedServer


def found(host: HostApp, partner_id: str = "acme", whose: str | None = None) -> tuple[Refusal, ...]:
    host.db.session.rollback()
    return refusals(host.db.session(), sender_row(host, partner_id).id, whose)


def refuse(bench: Workbench, server: ScriptedServer, reply: str, partner_id: str = "acme") -> None:
    server.behave("rcpt", Reply(reply))
    # To another address each time: one that a server does not know gets nothing more.
    queue(bench.host, f"to{uuid4().hex}@example.org", partner_id=partner_id)
    bench.work("" if partner_id == "globex" else partner_id)


def test_each_kind_once_with_its_newest_words(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    host = each
    host.save_sender(port=server.port)
    bench = bench_of(host)
    queue(host)
    bench.work()
    assert found(host) == ()
    for words in ("550 5.1.1 nobody", "550 5.1.1 nobody here", "450 4.2.0 greylisted"):
        refuse(bench, server, words)
    kinds = found(host)
    assert [(one.code, one.cause, one.count) for one in kinds] == [
        ("server_refused", "greylisted", 1),
        ("recipient_refused", "recipient_unknown", 2),
    ]
    assert kinds[1].reply == "550 5.1.1 nobody here"
    assert timedelta() <= now() - kinds[1].at < timedelta(minutes=1)


def test_a_pause_and_a_mail_that_went_out_later_are_there_too(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    refuse(bench, server, "550 5.7.60 Client does not have permissions to send as this sender")
    server.behave("rcpt", None)
    session = host.db.session()
    resume(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    bench.work()
    assert len(server.wait_for_messages(1)) == 1
    assert [one.cause for one in found(host)] == ["ms_send_as"]


def test_only_of_the_last_day_and_of_this_sender(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender("globex", port=server.port)
    refuse(bench, server, "550 5.1.1 nobody")
    assert found(host, "globex") == ()
    with shifted(timedelta(hours=23)):
        assert len(found(host)) == 1
    with shifted(timedelta(hours=25)):
        assert found(host) == ()


def test_of_a_sender_of_several_partners_only_whose_mail_it_was(
    host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer
) -> None:
    host, bench = host_with_bench
    host.save_sender("", port=server.port)
    refuse(bench, server, "550 5.1.1 nobody", "globex")
    assert [one.count for one in found(host, "")] == [1]
    assert [one.count for one in found(host, "", "globex")] == [1]
    assert found(host, "", "initech") == ()
