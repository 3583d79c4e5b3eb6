"""One alert for each incident: when it opens, what it follows from, when it ends."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from smtp_admin import Actor
from smtp_admin.clock import now, shifted
from smtp_admin.delivery.models import Counter
from smtp_admin.monitor.alerts import service
from smtp_admin.monitor.alerts.incidents import (
    evaluate,
    prune_alerts,
    take_turn_and_look,
)
from smtp_admin.monitor.alerts.kinds import ENDS_AFTER, KINDS, OF_STATE
from smtp_admin.monitor.alerts.models import Alert, AlertNotice
from smtp_admin.sender_state.facts import state_of
from smtp_admin.sender_state.state import KEYS, Key
from smtp_admin.senders.resolve import load_sender
from smtp_admin.translation import to_keep
from tests.alerts.watching import (
    MINUTE,
    a_worker,
    alerts,
    break_sender,
    look,
    mend_sender,
    notices,
    own_engine,
)
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.patience import SECONDS
from tests.sender_state.scenes import SCENES, Scene
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import ScriptedServer


def of_senders(host: HostApp) -> list[tuple[str, str, int]]:
    return [(one.kind, one.partner_id, one.sender_id) for one in alerts(host)]


def test_every_state_has_a_row() -> None:
    assert set(OF_STATE) == set(KEYS)
    named = {row[0] for row in OF_STATE.values() if row}
    assert named < {one.name for one in KINDS}


@pytest.mark.parametrize("key", KEYS)
def test_the_state_decides(host: HostApp, server: ScriptedServer, key: Key) -> None:
    """Each state as it comes about, and the alert that its row in the table says, if any."""
    scene = Scene(host, server)
    SCENES[key](scene)
    with ExitStack() as until:
        if scene.worker:
            until.enter_context(a_worker(host.app))
        until.enter_context(shifted(scene.later))
        host.db.session.rollback()
        state = state_of(host.db.session(), load_sender(host.db.session(), "acme"))
        assert state.key == key
        look(host)
        expected = OF_STATE[key]
        mine = [one for one in alerts(host, opened=False) if one.partner_id == "acme"]
        if expected is None or key == "unconfigured":
            assert not mine
            return
        (alert,) = mine
        assert alert.kind == expected[0]
        assert (alert.opened_at is not None) is (not expected[1])
        assert alert.headline == to_keep(state.headline)
        assert alert.detail == to_keep(state.detail)
        assert alert.severity == ("critical" if state.tone == "bad" else "warning")


def test_mail_for_a_sender_that_is_not_set_up(host: HostApp, server: ScriptedServer) -> None:
    """It waits with the system's, whose incident it is."""
    scene = Scene(host, server)
    look(host)
    assert not alerts(host, opened=False)
    scene.send(work=False)
    look(host)
    look(host, timedelta(minutes=11))
    (alert,) = alerts(host)
    assert (alert.kind, alert.partner_id) == ("queue_stuck", "")


def test_opens_once_and_ends_once(each: HostApp) -> None:
    each.save_sender()
    break_sender(each)
    first = look(each)
    (alert,) = alerts(each)
    assert first.opened == (alert.public_id,)
    assert (alert.kind, alert.severity, alert.whose) == (
        "sender_stopped", "critical", "partner Acme GmbH",
    )  # fmt: skip
    assert "535 5.7.8" in alert.detail
    for _ in range(3):
        again = look(each)
        assert not again.opened
        assert not again.ended
    mend_sender(each)
    assert not look(each).ended
    assert not look(each, ENDS_AFTER - MINUTE).ended
    assert look(each, ENDS_AFTER).ended == (alert.public_id,)
    assert not look(each, ENDS_AFTER * 2).ended
    (ended,) = alerts(each)
    assert ended.ended_at is not None
    assert ended.open_key is None
    assert [(one.event, one.channel) for one in notices(each)] == [
        ("opened", "signal"), ("opened", "mail"), ("ended", "signal"), ("ended", "mail"),
    ]  # fmt: skip


def test_the_same_incident_later_is_another_alert(host: HostApp) -> None:
    host.save_sender()
    break_sender(host)
    look(host)
    mend_sender(host)
    look(host)
    look(host, ENDS_AFTER)
    break_sender(host)
    look(host, ENDS_AFTER + MINUTE)
    first, second = alerts(host)
    assert first.incident == second.incident
    assert (first.ended_at is None, second.ended_at is None) == (False, True)


def test_a_flapping_sender_is_one_alert(each: HostApp) -> None:
    each.save_sender()
    for minute in range(40):
        (break_sender if minute % 4 < 2 else mend_sender)(each)
        look(each, minute * MINUTE)
    (alert,) = alerts(each)
    assert alert.ended_at is None
    assert len([one for one in notices(each) if one.event == "opened"]) == 2


def test_what_does_not_last_is_none(host: HostApp, server: ScriptedServer) -> None:
    """A server that is away for a minute wakes nobody."""
    scene = Scene(host, server)
    SCENES["paused"](scene)
    assert not look(host).opened
    assert len(alerts(host, opened=False)) == 1
    mend_sender(host)
    host.save_sender(port=server.port)
    host.work()
    look(host, MINUTE)
    look(host, MINUTE + ENDS_AFTER)
    assert not alerts(host, opened=False)
    assert not notices(host)


def test_what_comes_and_goes_opens_too(host: HostApp, server: ScriptedServer) -> None:
    SCENES["failing"](Scene(host, server))
    look(host)
    assert not alerts(host)
    look(host, 3 * MINUTE)
    (alert,) = alerts(host)
    assert alert.kind == "sender_stopped"


@pytest.mark.parametrize("count", [2, 4])
def test_several_look_at_once(opened: Callable[..., HostApp], database: str, count: int) -> None:
    """Two workers, two machines: the incident opens once, and is told once."""
    host = opened(uri=database)
    for partner_id in ("acme", "globex"):
        host.save_sender(partner_id)
        break_sender(host, partner_id)
    host.db.session.rollback()
    together = threading.Barrier(count)
    results: list[Any] = []

    def one() -> None:
        try:
            with host.app.app_context(), own_engine(host) as engine:
                together.wait(SECONDS)
                results.append(evaluate(engine, for_workers=False))
        except BaseException as error:  # noqa: BLE001 - told below
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [one for one in results if isinstance(one, BaseException)], results
    assert [one.partner_id for one in alerts(host, opened=False)] in (
        ["acme", "globex"], ["globex", "acme"],
    )  # fmt: skip
    assert len(notices(host)) == 4
    assert sum(len(one.opened) for one in results) == 2


def test_one_worker_at_a_time(each: HostApp) -> None:
    each.save_sender()
    break_sender(each)
    each.db.session.rollback()
    with a_worker(each.app), own_engine(each) as engine:
        assert take_turn_and_look(engine).opened
        mend_sender(each)
        take_turn_and_look(engine)
        assert alerts(each)[0].cleared_at is None
        with shifted(MINUTE):
            take_turn_and_look(engine)
        assert alerts(each)[0].cleared_at is not None


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_the_number_of_queries_does_not_grow(host: HostApp) -> None:
    counts = []
    for number in range(3):
        for partner_id in ("acme", "globex", "initech"):
            for one in range(number * 4, number * 4 + 4):
                host.save_sender(partner_id, key=f"sender-{one}", max_per_hour=10)
        host.db.session.rollback()
        asked: list[str] = []
        with own_engine(host) as engine:
            event.listen(engine, "after_cursor_execute", lambda *args, to=asked: to.append(args[2]))
            evaluate(engine, for_workers=False)
        counts.append(len(asked))
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_nor_does_it_with_the_incidents(host: HostApp) -> None:
    """The minute in which a great network goes away is no minute for a thousand statements."""
    counts = []
    for some in (range(3), range(3, 30)):
        for one in some:
            host.save_sender(key=f"sender-{one}")
            break_sender(host, key=f"sender-{one}")
        host.db.session.rollback()
        asked: list[str] = []
        with a_worker(host.app), own_engine(host) as engine:
            event.listen(
                engine, "before_cursor_execute", lambda *args, to=asked: to.append(args[2])
            )
            assert len(evaluate(engine, for_workers=False).opened) == len(some)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_dead_letters(each: HostApp) -> None:
    session = each.db.session()
    for partner_id, dead, hours in (("acme", 9, 1), ("globex", 6, 1), ("globex", 4, 23),
                                    ("initech", 99, 25)):  # fmt: skip
        session.add(
            Counter(sender_id=1, partner_id=partner_id, span=1, dead=dead,
                    minute=now() - timedelta(hours=hours))
        )  # fmt: skip
    session.commit()
    look(each)
    (alert,) = alerts(each)
    assert (alert.kind, alert.partner_id) == ("dead_letters", "globex")
    assert alert.headline == "10 dead letters in 24 hours"
    look(each, timedelta(hours=2))
    look(each, timedelta(hours=2) + ENDS_AFTER)
    assert alerts(each)[0].ended_at is not None


def test_certificates_that_expire(host: HostApp, certificates: CertificateFactory) -> None:
    pair = certificates.ending(datetime.now(UTC) + timedelta(days=20))
    values = {"client_certificate": pair.certfile.read_text()}
    host.save_sender(security="tls", secrets={"client_key": pair.keyfile.read_text()}, **values)
    look(host)
    assert not alerts(host)
    # It lives for twenty days, and its last fifth begins.
    look(host, timedelta(days=17))
    (alert,) = alerts(host)
    assert (alert.kind, alert.severity) == ("expiring", "warning")
    assert alert.headline.startswith("Client certificate: ends on ")
    assert "Enter the new one" in alert.detail
    look(host, timedelta(days=21))
    (alert,) = alerts(host)
    assert alert.severity == "critical"
    assert alert.headline.startswith("Client certificate: ended on ")


def test_no_worker_is_found_by_others(host: HostApp) -> None:
    session = host.db.session()
    look(host)
    assert not alerts(host)
    (found,) = service.open_alerts(session, live=True)
    assert (found.kind, found.partner_id, found.id) == ("no_worker", "", "")
    assert service.open_alerts(session, ["acme"], live=True) == []
    look(host, for_workers=True)
    (alert,) = alerts(host)
    assert alert.kind == "no_worker"
    assert len(service.open_alerts(session, live=True)) == 1
    look(host)
    look(host, ENDS_AFTER)
    assert alerts(host)[0].ended_at is not None
    with a_worker(host.app):
        assert service.open_alerts(session, live=True) == []


def test_while_no_worker_runs_nothing_ends(host: HostApp, server: ScriptedServer) -> None:
    """Nobody can say then how a sender is."""
    SCENES["limit"](Scene(host, server))
    look(host)
    look(host, timedelta(minutes=1), for_workers=True)
    look(host, timedelta(minutes=20), for_workers=True)
    (alert,) = [one for one in alerts(host) if one.kind == "limit_near"]
    assert alert.ended_at is None
    assert alert.cleared_at is None


def test_a_deleted_sender_ends_its_alerts(host: HostApp) -> None:
    host.save_sender(key="news")
    break_sender(host, key="news")
    look(host)
    host.client.post("/smtp-admin/partners/acme/senders/news/delete")
    look(host)
    look(host, ENDS_AFTER)
    assert alerts(host)[0].ended_at is not None


@pytest.mark.parametrize("actor", [ADMIN, ACME_ADMIN], ids=["platform", "partner"])
def test_who_mutes_one_means_the_next_too(host: HostApp, actor: Actor) -> None:
    host.save_sender()
    break_sender(host)
    look(host)
    (alert,) = alerts(host)
    until = service.mute(host.db.session(), alert, actor, timedelta(days=1))
    host.db.session.commit()
    mend_sender(host)
    look(host)
    look(host, ENDS_AFTER)
    break_sender(host)
    look(host, ENDS_AFTER * 2)
    again = alerts(host)[1]
    mutes = (again.muted_until, again.owner_muted_until)
    assert mutes == ((until, None) if actor is ADMIN else (None, until))


def test_old_ones_are_forgotten(each: HostApp) -> None:
    each.save_sender()
    break_sender(each)
    look(each)
    mend_sender(each)
    look(each)
    look(each, ENDS_AFTER)
    each.db.session.rollback()
    with own_engine(each) as engine:
        assert prune_alerts(engine) == 0
        with shifted(timedelta(days=32)):
            assert prune_alerts(engine) == 1
    session = each.db.session()
    assert not session.scalars(select(Alert)).all()
    assert not session.scalars(select(AlertNotice)).all()
