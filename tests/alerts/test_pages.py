"""The page of alerts, its buttons, the banner, and that nobody sees another's."""

import html
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from smtp_admin import Actor
from smtp_admin.audit.models import Audit
from smtp_admin.clock import shifted
from smtp_admin.database import database_now
from smtp_admin.monitor.alerts.kinds import ENDS_AFTER
from smtp_admin.monitor.alerts.service import AlertSeen, unseen_alerts
from tests.alerts.watching import MINUTE, a_worker, alerts, break_sender, look, mend_sender, tell
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, GLOBEX_ADMIN, HostApp
from tests.sender_state.scenes import start_again

HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
PAGE = "/smtp-admin/alerts"
OWNERS = ("", "acme", "globex")


@pytest.fixture
def troubled(host: HostApp) -> HostApp:
    """Each of three owners has a sender that is stopped."""
    for partner_id in OWNERS:
        host.save_sender(partner_id)
        break_sender(
            host, partner_id, words=f"<b>refused</b> by {partner_id or 'platform'}.example"
        )
    look(host)
    return host


def words(host: HostApp, path: str = PAGE) -> str:
    answer = host.client.get(path, headers=HTML)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def ids(host: HostApp) -> dict[str, str]:
    return {one.partner_id: one.public_id for one in alerts(host)}


def as_json(host: HostApp, path: str = PAGE) -> Any:
    return host.client.get(path, headers=JSON).json


def test_the_worst_come_first(troubled: HostApp) -> None:
    """However long the others have been open: what needs a person now is not looked for."""
    first = alerts(troubled)[0]
    first.severity = "warning"
    first.opened_at = database_now(troubled.db.session()) - timedelta(hours=1)
    troubled.db.session.commit()
    with a_worker(troubled.app):
        shown = [one["severity"] for one in as_json(troubled)["open"]]
        banner = [one.severity for one in unseen_alerts(troubled.db.session())]
    assert shown == banner == ["critical", "critical", "warning"]


@pytest.mark.parametrize(
    ("actor", "seen"),
    [(ADMIN, {"", "acme", "globex"}), (ACME_ADMIN, {"acme"}), (GLOBEX_ADMIN, {"globex"})],
    ids=["admin", "acme", "globex"],
)  # fmt: skip
def test_everybody_sees_their_own(troubled: HostApp, actor: Actor, seen: set[str]) -> None:
    troubled.actor = actor
    with a_worker(troubled.app):
        shown = as_json(troubled)
        assert {one["partner_id"] for one in shown["open"]} == seen
        for path in (PAGE, "/smtp-admin/"):
            page = troubled.client.get(path, headers=HTML).text
            for partner_id in OWNERS:
                mark = f"by {partner_id or 'platform'}.example"
                assert (mark in page) == (partner_id in seen), path
            assert "<b>refused</b>" not in page
            assert "&lt;b&gt;refused&lt;/b&gt;" in page


@pytest.mark.parametrize("what", ["acknowledge", "mute", "unmute"])
@pytest.mark.parametrize("headers", [HTML, JSON], ids=["html", "json"])
def test_anothers_looks_like_none(troubled: HostApp, what: str, headers: Any) -> None:
    own = ids(troubled)
    before = [(one.acknowledged_at, one.muted_until) for one in alerts(troubled)]
    troubled.actor = ACME_ADMIN
    texts = []
    for one in (own["globex"], own[""], "0" * 32):
        answer = troubled.client.post(f"{PAGE}/{one}/{what}", headers=headers)
        assert answer.status_code == 404
        texts.append(answer.text.replace(one, "ID"))
    assert len(set(texts)) == 1
    assert [(one.acknowledged_at, one.muted_until) for one in alerts(troubled)] == before


def test_how_the_platform_is_told_is_its_own_affair(troubled: HostApp) -> None:
    with a_worker(troubled.app):
        tell(troubled)
        assert all(one["told"] for one in as_json(troubled)["open"])
        text = words(troubled)
        assert "Sent as a signal." in text
        assert text.count("Not mailed: no recipients are set up. Set SMTP_ADMIN_ALERT_E") == len(
            as_json(troubled)["open"]
        )
        troubled.actor = ACME_ADMIN
        assert [one["told"] for one in as_json(troubled)["open"]] == [[]]
        assert "Not mailed" not in words(troubled)


def test_acknowledging(troubled: HostApp) -> None:
    alert_id = ids(troubled)["acme"]
    troubled.actor = ACME_ADMIN
    assert "Sender problem, partner Acme GmbH:" in words(troubled, "/smtp-admin/partners/acme")
    answer = troubled.client.post(f"{PAGE}/{alert_id}/acknowledge", headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert "Acknowledged by mia@acme.example" in words(troubled)
    assert 'id="alerts"' not in troubled.client.get("/smtp-admin/", headers=HTML).text
    (row,) = troubled.db.session.scalars(select(Audit).where(Audit.action.like("alert.%")))
    assert (row.action, row.partner_id) == ("alert.acknowledged", "acme")


def test_each_side_acknowledges_for_itself(troubled: HostApp) -> None:
    own = ids(troubled)
    troubled.actor = ACME_ADMIN
    troubled.client.post(f"{PAGE}/{own['acme']}/acknowledge", headers=HTML)
    troubled.actor = ADMIN
    assert "Sender problem, partner Acme GmbH:" in words(troubled, "/smtp-admin/")
    assert not any(one["acknowledged_by"] for one in as_json(troubled)["open"])
    for partner_id in ("acme", "globex"):
        troubled.client.post(f"{PAGE}/{own[partner_id]}/acknowledge", headers=HTML)
    assert "Sender problem, partner" not in words(troubled, "/smtp-admin/")
    troubled.actor = GLOBEX_ADMIN
    assert "Sender problem, partner Globex" in words(troubled, "/smtp-admin/"), "nor this way"
    troubled.actor = ACME_ADMIN
    assert "Acknowledged by mia@acme.example" in words(troubled), "and not by the platform"


def test_muting(troubled: HostApp) -> None:
    alert_id = ids(troubled)["acme"]
    troubled.actor = ACME_ADMIN
    for span in ("2h", "", "x"):
        bad = troubled.client.post(f"{PAGE}/{alert_id}/mute", data={"for": span}, headers=JSON)
        assert bad.status_code == 400
    troubled.client.post(f"{PAGE}/{alert_id}/mute", json={"for": "1w"})
    assert "Muted until" in words(troubled)
    assert 'id="alerts"' not in troubled.client.get("/smtp-admin/", headers=HTML).text
    troubled.actor = ADMIN
    assert "Muted until" not in words(troubled), "what a partner mutes, the platform still sees"
    assert "Sender problem, partner Acme GmbH:" in words(troubled, "/smtp-admin/")
    for one in ids(troubled).values():
        troubled.client.post(f"{PAGE}/{one}/mute", json={"for": "1h"})
    assert "Sender problem" not in words(troubled, "/smtp-admin/")
    troubled.actor = GLOBEX_ADMIN
    assert "Sender problem, partner Globex" in words(troubled, "/smtp-admin/"), "nor this way"
    troubled.actor = ACME_ADMIN
    with shifted(timedelta(days=8)):
        assert 'id="alerts"' in troubled.client.get("/smtp-admin/", headers=HTML).text
    troubled.client.post(f"{PAGE}/{alert_id}/unmute", headers=HTML)
    assert "Muted until" not in words(troubled)
    assert 'id="alerts"' in troubled.client.get("/smtp-admin/", headers=HTML).text


def test_an_ended_one_cannot_be_changed(troubled: HostApp) -> None:
    alert_id = ids(troubled)["acme"]
    mend_sender(troubled)
    look(troubled)
    look(troubled, ENDS_AFTER)
    for what in ("acknowledge", "mute", "unmute"):
        assert troubled.client.post(f"{PAGE}/{alert_id}/{what}", headers=JSON).status_code == 409
    assert "Ended in the last 30 days" in words(troubled)
    assert [one["id"] for one in as_json(troubled)["ended"]] == [alert_id]
    with shifted(timedelta(days=31)):
        assert as_json(troubled)["ended"] == []


def test_buttons_need_a_token(troubled: HostApp) -> None:
    troubled.app.config["WTF_CSRF_ENABLED"] = True
    alert_id = ids(troubled)["acme"]
    for what in ("acknowledge", "mute", "unmute"):
        answer = troubled.client.post(f"{PAGE}/{alert_id}/{what}", headers=JSON)
        assert answer.get_json()["error"]["code"] == "csrf_failed"


def test_without_alerts(host: HostApp) -> None:
    with a_worker(host.app):
        assert "There are no open alerts" in words(host)
        assert 'id="alerts"' not in host.client.get("/smtp-admin/", headers=HTML).text


def test_no_worker_is_told_to_the_platform(host: HostApp) -> None:
    assert "No worker runs." in words(host)
    assert as_json(host)["open"][0]["kind"] == "no_worker"
    assert "The system: No worker runs." in words(host, "/smtp-admin/")
    host.actor = ACME_ADMIN
    assert as_json(host)["open"] == []
    assert "No worker, the system" not in words(host, "/smtp-admin/")


def test_the_platform_reads_who_is_told(host: HostApp) -> None:
    assert "Alerts are mailed to nobody of the platform" in words(host)
    start_again(host, alert_emails=("ops@platform.example",))
    assert "Alerts are mailed to ops@platform.example." in words(host)
    host.actor = ACME_ADMIN
    assert "Alerts are mailed" not in words(host)


def test_the_banner_is_one_query(troubled: HostApp) -> None:
    asked: list[str] = []
    event.listen(
        troubled.db.engine, "before_cursor_execute", lambda *args: asked.append(str(args[2]))
    )
    assert 'id="alerts"' in troubled.client.get("/smtp-admin/symptoms", headers=HTML).text
    assert len([one for one in asked if "smtp_admin_alert" in one]) == 1


def test_what_is_over_is_in_no_banner(troubled: HostApp) -> None:
    """Beside a sender that delivers again, nothing says that it is stopped."""
    troubled.actor = ACME_ADMIN
    tab = "/smtp-admin/partners/acme"
    with a_worker(troubled.app):
        assert "Stopped until the login is corrected." in words(troubled, f"{tab}/mail")
        mend_sender(troubled)
        look(troubled, MINUTE)
        assert "Stopped" not in words(troubled, f"{tab}/mail")
        assert "This is over since" in words(troubled)
        break_sender(troubled)
        look(troubled, 2 * MINUTE)
        assert "Stopped until the login is corrected." in words(troubled, f"{tab}/mail")
        assert "This is over since" not in words(troubled)


def test_a_banner_for_those_alone_who_look_after_mail(troubled: HostApp) -> None:
    troubled.actor = CUSTOMER
    page = troubled.client.get("/smtp-admin/renewals/remind-me", headers=HTML).text
    assert 'id="alerts"' not in page
    assert "refused" not in page


def test_many_are_named_by_number(host: HostApp) -> None:
    for number in range(6):
        host.save_sender(key=f"sender-{number}")
        break_sender(host, key=f"sender-{number}")
    look(host)
    assert "3 more, and all alerts" in words(host, "/smtp-admin/symptoms")


def test_commands(troubled: HostApp) -> None:
    runner = troubled.app.test_cli_runner()
    mine = ids(troubled)

    def run(*given: str) -> Any:
        troubled.db.session.rollback()
        return runner.invoke(args=["smtp-admin", "alerts", *given])

    with a_worker(troubled.app):
        assert mine["acme"] in run("list", "--partner", "acme").output
        assert mine["globex"] not in run("list", "--partner", "acme").output
        assert run("check").exit_code == 1
        assert run("ack", mine["acme"], mine["globex"]).exit_code == 0
        assert run("check").exit_code == 1
        assert run("mute", mine[""], "--for", "1d").exit_code == 0
        assert "Muted until" in run("list").output
        done = run("check")
        assert (done.exit_code, done.output) == (0, "No open alerts.\n")
        run("unmute", mine[""])
        assert run("check", "--json").exit_code == 1
    assert "No worker runs" in run("check").output


def test_a_command_tells_that_no_worker_runs(host: HostApp) -> None:
    runner = host.app.test_cli_runner()
    for _ in range(2):
        result = runner.invoke(args=["smtp-admin", "alerts", "check", "--announce"])
        assert result.exit_code == 1
    (alert,) = alerts(host)
    assert alert.kind == "no_worker"


def test_the_banner_says_nothing_twice() -> None:
    shown = AlertSeen("", "limit", "Limit reached", "warning", "acme", 1, "", "partner Acme Ltd",
                      "Limit reached, resumes at 14:05 UTC", "")  # fmt: skip
    assert shown.title == "Partner Acme Ltd"
    assert replace(shown, headline="No worker runs").title == "Limit reached, partner Acme Ltd"
