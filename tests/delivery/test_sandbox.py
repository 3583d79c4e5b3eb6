"""The sandbox: what it sends elsewhere and what it holds, at queueing and at the claim."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.clock import now, shifted
from smtp_admin.delivery import actions
from smtp_admin.delivery.gate import REDIRECTED_CODE
from smtp_admin.delivery.held import CODE
from smtp_admin.installation import NAME
from smtp_admin.sandbox.rewriting import HEADER
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.suppression.models import Suppression
from tests.app import HostApp, started_with
from tests.delivery.workbench import Workbench, attempts, deliveries, letter, queue, row_of, step_in
from tests.servers.scripted import ScriptedServer

DEV = "dev@example.com"
TO_DEV = Sandbox(redirect=DEV)
SOME = Sandbox(allow=("me@example.com", "@example.net"))
Bench = Callable[..., Workbench]


def restart(host: HostApp, sandbox: Sandbox | None) -> None:
    """Let the app go on as if it had been started with this sandbox."""
    here = host.installation
    config = replace(here.config, sandbox=sandbox)
    host.app.extensions[NAME] = started_with(here, config=config)


def received(server: ScriptedServer) -> list[tuple[str, EmailMessage]]:
    """Whom each mail went to, and what it said."""
    return [
        (
            one.recipients[0],
            message_from_bytes(one.data, policy=policy.default),
        )
        for one in server.messages
    ]


def test_redirected_at_queueing(opened: Any, server: ScriptedServer, bench_of: Bench) -> None:
    """One mail to the address, so that also a worker without a sandbox sends it nowhere else."""
    host: HostApp = opened(SANDBOX=f"redirect:{DEV}")
    host.save_sender(port=server.port, reply_to="help@acme.example", archive_to="all@acme.example")
    public_id = queue(host, "you@example.org", "Mia <mia@example.org>")
    (one,) = deliveries(host)
    assert (one.recipient, one.archive) == (DEV, False)
    assert row_of(host, public_id).subject == "[to you@example.org and 1 more] Hello"
    restart(host, None)
    bench_of(host).work()
    ((to, mail),) = received(server)
    assert to == DEV
    assert mail[HEADER] == "you@example.org, mia@example.org"
    assert mail["Subject"] == "[to you@example.org and 1 more] Hello"
    assert (mail["To"], mail["Reply-To"]) == (DEV, None)
    assert attempts(host) == []


def test_redirected_at_the_claim(each: HostApp, server: ScriptedServer, bench_of: Bench) -> None:
    """What was queued before goes nowhere else either, and its stored bytes stay as they were."""
    each.save_sender(port=server.port, reply_to="help@acme.example", archive_to="all@acme.example")
    public_id = each.plugin.send_message(
        letter("you@example.org", cc=["mia@example.org"], reply_to="me@acme.example",
               subject="Übermorgen"),
        partner_id="acme",
    )  # fmt: skip
    each.db.session.commit()
    before = row_of(each, public_id).content
    restart(each, TO_DEV)
    bench_of(each).work()
    assert {to for to, _ in received(server)} == {DEV}
    intended = {str(mail[HEADER]): mail for _, mail in received(server)}
    assert set(intended) == {"you@example.org", "mia@example.org", "all@acme.example"}
    for address, mail in intended.items():
        assert mail["Subject"] == f"[to {address}] Übermorgen"
        assert (mail["To"], mail["Cc"], mail["Reply-To"]) == (DEV, None, None)
        assert mail.get_content().split() == ["Good", "morning."]
    assert row_of(each, public_id).content == before
    assert {one.recipient for one in deliveries(each)} == set(intended)
    assert {one.state for one in deliveries(each)} == {"sent"}
    assert [one.code for one in attempts(each)] == [REDIRECTED_CODE] * 3
    assert DEV in attempts(each)[0].error


def test_that_its_own_address_is_wrong_says_nothing_of_others(
    opened: Any, server: ScriptedServer, bench_of: Bench
) -> None:
    host: HostApp = opened()
    host.save_sender(port=server.port)
    queue(host, "tom@example.org")
    bench_of(host).work()
    queue(host)
    restart(host, TO_DEV)
    server.behave("rcpt", lambda *_: b"550 5.1.1 no such user here\r\n")
    bench_of(host).work()
    assert [one.state for one in deliveries(host)] == ["sent", "dead"]
    assert not host.db.session.scalars(select(Suppression)).all()


def test_a_repeated_attempt_sends_the_same_bytes(
    opened: Any, server: ScriptedServer, bench_of: Bench
) -> None:
    host: HostApp = opened()
    host.save_sender(port=server.port)
    queue(host)
    restart(host, TO_DEV)
    bench = bench_of(host)
    bench.work()
    restart(host, None)
    first = server.messages[0].data
    session = host.db.session()
    for one in deliveries(host):
        one.state, one.finished_at = "dead", None
    session.commit()
    actions.retry(session, [row.public_id for row in actions_of(host)])
    session.commit()
    restart(host, TO_DEV)
    bench.work()
    assert [one.data for one in server.messages] == [first, first]


def actions_of(host: HostApp) -> list[actions.Listed]:
    return actions.list_mail(host.db.session())


def test_no_sender_yet(opened: Any, server: ScriptedServer, bench_of: Bench) -> None:
    """The sender's headers come after the redirect, and its Reply-To and archive do not count."""
    host: HostApp = opened(SANDBOX=f"redirect:{DEV}")
    queue(host, "you@example.org")
    host.save_sender(port=server.port, reply_to="help@acme.example", archive_to="all@acme.example")
    bench_of(host).work()
    ((to, mail),) = received(server)
    assert (to, mail["Reply-To"], mail["From"]) == (DEV, None, "Acme GmbH <noreply@acme.example>")
    assert mail.get_all("Subject") == ["[to you@example.org] Hello"]


def test_the_address_changes_while_mail_waits(
    opened: Any, server: ScriptedServer, bench_of: Bench
) -> None:
    host: HostApp = opened(SANDBOX="redirect:first@example.com")
    host.save_sender(port=server.port)
    queue(host, "you@example.org")
    restart(host, TO_DEV)
    bench_of(host).work()
    ((to, mail),) = received(server)
    assert (to, mail[HEADER]) == (DEV, "you@example.org")


def test_held_at_queueing(each: HostApp, server: ScriptedServer, bench_of: Bench) -> None:
    restart(each, SOME)
    each.save_sender(port=server.port, archive_to="all@acme.example")
    queue(each, "you@example.org", "Me@example.com", "x@example.net")
    held, me, other = deliveries(each)
    assert (held.state, held.last_code) == ("queued", CODE)
    assert "SMTP_ADMIN_SANDBOX" in held.last_error
    assert [me.last_code, other.last_code] == ["", ""]
    bench = bench_of(each)
    bench.work()
    restart(each, None)
    bench.tick()
    assert sorted(to for to, _ in received(server)) == ["Me@example.com", "x@example.net"]
    assert [one.state for one in deliveries(each)] == ["queued", "sent", "sent"]


def test_held_at_the_claim(each: HostApp, server: ScriptedServer, bench_of: Bench) -> None:
    each.save_sender(port=server.port)
    for number in range(30):
        queue(each, f"you{number}@example.org", "me@example.com")
    restart(each, SOME)
    bench = bench_of(each)
    bench.work()
    bench.tick()
    assert {to for to, _ in received(server)} == {"me@example.com"}
    waiting = [one for one in deliveries(each) if one.state != "sent"]
    assert {(one.state, one.last_code, one.attempts) for one in waiting} == {("queued", CODE, 0)}
    assert len(waiting) == 30
    assert attempts(each) == []


def test_scheduled_mail_keeps_its_time(
    opened: Any, server: ScriptedServer, bench_of: Bench
) -> None:
    """It is held when its time comes: the time would be lost if it were held before."""
    host: HostApp = opened(SANDBOX="allow:me@example.com")
    host.save_sender(port=server.port)
    later = now() + timedelta(hours=2)
    queue(host, "you@example.org", send_at=later)
    (one,) = deliveries(host)
    assert (one.next_attempt_at, one.last_code) == (later, "")
    with shifted(timedelta(hours=3)):
        bench_of(host).work()
    (one,) = deliveries(host)
    assert (one.state, one.last_code) == ("queued", CODE)
    assert server.messages == []


def test_held_mail_becomes_too_old_like_any_other(opened: Any, bench_of: Bench) -> None:
    host: HostApp = opened(SANDBOX="allow:me@example.com")
    host.save_sender()
    queue(host, "you@example.org")
    bench_of(host).tick(timedelta(hours=73))
    assert [one.state for one in deliveries(host)] == ["expired"]


@pytest.mark.parametrize("sandbox", [TO_DEV, SOME])
def test_who_steps_in_sends_nobody_anything_else(
    each: HostApp, server: ScriptedServer, bench_of: Bench, closed_port: int, sandbox: Sandbox
) -> None:
    """Queued before the sandbox, with an archive, and taken over by a sender with a Reply-To."""
    archive: dict[str, Any] = {"archive_to": "all@acme.example"}
    each.save_sender(key="b", port=server.port, reply_to="help@acme.example", **archive)
    each.save_sender(port=closed_port, fallbacks=("b",), **archive)
    each.plugin.send_message(
        letter("you@example.org", cc=["me@example.com"], bcc=["eve@example.org"]),
        partner_id="acme",
    )
    each.db.session.commit()
    restart(each, sandbox)
    bench = bench_of(each)
    bench.tick()
    assert step_in(each) > 0
    bench.tick()
    bench.tick(timedelta(hours=1))
    seen = received(server)
    assert {to for to, _ in seen} == {sandbox.redirect or "me@example.com"}
    if sandbox.redirect:
        assert {str(mail["Reply-To"]) for _, mail in seen} == {"None"}


@pytest.mark.parametrize(
    "address",
    [
        "x@sub.example.net", "x@example.net.evil.example", "x@notexample.net", "me+1@example.com",
        "me@example.com.evil.example", "xme@example.com", "me@example.com@evil.example",
        '"me@example.com"@evil.example', "m\u0435@example.com", "", "example.net",
    ],
)  # fmt: skip
def test_what_only_looks_like_an_allowed_address_is_held(address: str) -> None:
    assert not SOME.lets_out(address)
