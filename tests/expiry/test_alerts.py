"""Told before something ends: one alert, mail each day until somebody reacts, none for nothing."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from smtp_admin import Actor
from smtp_admin.delivery.models import Delivery
from smtp_admin.monitor.alerts import service
from smtp_admin.monitor.alerts.kinds import ENDS_AFTER
from smtp_admin.monitor.alerts.service import find_alert
from tests.alerts.watching import MINUTE, a_worker, alerts, look, notices, tell
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.workbench import deliveries
from tests.expiry.ending import DAY, microsoft
from tests.sender_state.scenes import start_again
from tests.servers.scripted import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def told(host: HostApp, later: timedelta) -> list[str]:
    """Whom a worker queues mail to at that time, having looked."""
    host.db.session.rollback()
    before = len(deliveries(host))
    look(host, later)
    with a_worker(host.app):
        tell(host, later)
    found = [one.recipient for one in deliveries(host)][before:]
    # Sent at once: what waits for days would be an incident of its own.
    host.db.session.execute(update(Delivery).values(state="sent"))
    host.db.session.commit()
    return found


def acknowledge(host: HostApp, public_id: str, who: Actor) -> None:
    session = host.db.session()
    service.acknowledge(session, find_alert(session, public_id), who)
    session.commit()


def test_the_owner_is_told_each_day(
    host: HostApp, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_again(host, alert_emails=("ops@platform.example",))
    mine = {"acme": ["mia@acme.example"]}
    monkeypatch.setattr(type(host.host), "alert_recipients", lambda _, one: mine[one])
    host.save_sender("", port=server.port)
    host.save_sender(**microsoft(40))
    both = ["ops@platform.example", "mia@acme.example"]
    assert told(host, 10 * DAY) == []  # even if midnight passes meanwhile, more than 28 are left
    first = 13 * DAY
    assert told(host, first) == both
    assert told(host, first + 23 * timedelta(hours=1)) == []
    assert told(host, first + DAY) == both
    assert told(host, first + DAY + MINUTE) == []
    assert told(host, first + 2 * DAY + MINUTE) == both
    (alert,) = alerts(host)
    assert (alert.kind, alert.severity, alert.partner_id) == ("expiring", "warning", "acme")
    # One incident, however often somebody is told: the signal came once.
    assert len(notices(host, "signal")) == 1
    (shown,) = service.open_alerts(host.db.session())
    assert [one.split(":")[0] for one in shown.told] == [
        "Sent to the app as a signal.", "By mail", "By mail, once more",
    ]  # fmt: skip
    acknowledge(host, alert.public_id, ADMIN)
    assert told(host, first + 4 * DAY) == ["mia@acme.example"], "each side acknowledges for itself"
    acknowledge(host, alert.public_id, ACME_ADMIN)
    assert told(host, first + 6 * DAY) == []
    # It ends on its day, and with a new one entered the incident does.
    assert told(host, 41 * DAY) == []
    assert alerts(host)[0].severity == "critical"
    host.save_sender(**microsoft(400, secrets={"oauth_secret": "new"}))
    look(host, 41 * DAY)
    assert told(host, 41 * DAY + ENDS_AFTER) == both
    assert alerts(host)[0].ended_at is not None
    assert told(host, 60 * DAY) == []


def test_what_is_muted_is_silent(host: HostApp, server: ScriptedServer) -> None:
    start_again(host, alert_emails=("ops@platform.example",))
    host.save_sender("", port=server.port)
    host.save_sender(**microsoft(5))
    assert told(host, MINUTE) == ["ops@platform.example"]
    (alert,) = alerts(host)
    service.mute(host.db.session(), alert, ADMIN, 3 * DAY)
    host.db.session.commit()
    assert told(host, 2 * DAY) == []
    assert told(host, 4 * DAY) == ["ops@platform.example"]
