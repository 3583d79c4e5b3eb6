"""Who may choose which sending method: the same answer in every way in.

A partner's admin is half trusted. What sends by this machine's own rights, keeps mail instead of
sending it, or was registered by the host, is the platform admin's alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.connection.models import WorkerTest
from smtp_admin.connection.request import read_request
from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.senders.drivers import available_drivers, check_driver, drivers_for
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.rollback import plan_rollback, roll_back
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.memory import clear, kept_mails
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, HostApp, started_with
from tests.delivery.workbench import deliveries, queue

PAGE = "/smtp-admin/partners/acme"
JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}
PRIVILEGED = ("sendmail", "ses-role", "memory", "twin")
ALL = ("smtp", *PRIVILEGED)
#: Everything that a config could try to grant.
GRANTED = ("smtp", "sendmail", "ses-role", "memory", "twin", "nobody")
ONLY_ADMINS = "Only the platform's administrators may use this sending method."


@pytest.fixture
def granted(host: HostApp, twin: Driver) -> Iterator[HostApp]:
    """A host that wrote every driver into the list for partners."""
    reconfigure(host, partner_drivers=GRANTED)
    clear()
    yield host
    clear()


def reconfigure(host: HostApp, **changes: Any) -> None:
    here = host.installation
    config = replace(here.config, **changes)
    host.app.extensions["smtp_admin"] = started_with(here, config=config)


def names(drivers: tuple[Driver, ...]) -> list[str]:
    return [one.name for one in drivers]


def values(driver: str, **more: Any) -> SenderValues:
    """Complete settings."""
    base: dict[str, Any] = {"driver": driver, "host": "127.0.0.1", "port": 25, "security": "none",
                            "ses_region": "eu-central-1"}  # fmt: skip
    return SenderValues(**base, from_email="noreply@acme.example", **more)


def form(driver: str, revision: int = 0) -> dict[str, str]:
    """The same as the page sends it."""
    return {"driver": driver, "host": "127.0.0.1", "port": "25", "security": "none",
            "from_email": "noreply@acme.example", "verify_tls": "true",
            "ses_region": "eu-central-1", "revision": str(revision)}  # fmt: skip


def revisions(host: HostApp) -> int:
    session = host.db.session()
    session.rollback()
    return len(session.scalars(select(SenderRevision)).all())


# Who may choose


@pytest.mark.parametrize("driver", ALL)
def test_the_platforms_admin_may_choose_any(granted: HostApp, driver: str) -> None:
    check_driver(ADMIN, driver)
    reconfigure(granted, partner_drivers=())
    check_driver(ADMIN, driver)


@pytest.mark.parametrize("actor", [ACME_ADMIN, CUSTOMER, None], ids=["partner", "customer", "none"])
@pytest.mark.parametrize("driver", PRIVILEGED)
def test_nobody_else_may_choose_these_whatever_the_config_says(
    granted: HostApp, actor: Actor | None, driver: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_driver(actor, driver)
    assert (caught.value.code, caught.value.message) == ("forbidden", ONLY_ADMINS)
    assert list(caught.value.fields) == ["driver"]
    assert driver not in names(drivers_for(actor))


def test_what_a_partners_admin_may_choose_is_the_configs(host: HostApp) -> None:
    assert names(drivers_for(ACME_ADMIN)) == ["smtp"]
    reconfigure(host, partner_drivers=())
    assert names(drivers_for(ACME_ADMIN)) == []
    with pytest.raises(InvalidInput, match="administrators"):
        check_driver(ACME_ADMIN, "smtp")
    assert names(drivers_for(None)) == []


def test_one_that_there_is_not(granted: HostApp) -> None:
    for actor in (ADMIN, ACME_ADMIN):
        with pytest.raises(InvalidInput) as caught:
            check_driver(actor, "nobody")
        assert caught.value.code == "invalid_input"
        assert list(caught.value.fields) == ["driver"]


@pytest.mark.parametrize(
    ("testing", "debug", "configured", "there"),
    [(True, False, False, True), (False, True, False, True), (False, False, True, True),
     (False, False, False, False)],
)  # fmt: skip
def test_memory_is_for_development(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, testing: bool, debug: bool, configured: bool,
    there: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(host.app, "testing", testing)
    monkeypatch.setattr(host.app, "debug", debug)
    reconfigure(host, memory_driver=configured)
    assert ("memory" in names(available_drivers())) is there
    assert ("memory" in names(drivers_for(ADMIN))) is there
    if there:
        host.save_sender("acme", driver="memory")
        return
    with pytest.raises(InvalidInput) as caught:
        host.save_sender("acme", driver="memory")
    assert "no sending method called 'memory' here" in caught.value.fields["driver"][0]


# In every way in


def ways_in(host: HostApp, driver: str) -> Mapping[str, Any]:
    """What each way in says to whoever is signed in; a code where it is refused."""
    actor = host.actor
    assert actor
    session = host.db.session()

    def tried(what: Any) -> str:
        try:
            what()
        except InvalidInput as error:
            return error.code
        finally:
            session.rollback()
        return "ok"

    revision = load_sender(session, "acme").revision
    session.rollback()
    found: dict[str, Any] = {
        "save": tried(lambda: save_settings(
            session, "acme", values(driver), secrets={}, expected_revision=revision, actor=actor,
        )),
        "test": tried(lambda: read_request(
            dict(form(driver)), load_sender(session, "acme"), host.installation.keyring, actor,
        )),
    }  # fmt: skip
    for path in ("/test-connection", "/test-connection/worker"):
        answer = host.client.post(PAGE + path, json=form(driver)).get_json()
        found[f"JSON {path}"] = (answer.get("error") or {}).get("code", "ok")
    for path in ("", "/test-connection", "/test-connection/worker", "/test-email"):
        answer = host.client.post(PAGE + path, data=form(driver, revision), headers=HTML)
        refused = ONLY_ADMINS in unescape(answer.text)
        assert not refused or answer.status_code == 400
        found[f"page {path}"] = "forbidden" if refused else answer.status_code
    return found


@pytest.mark.parametrize("driver", PRIVILEGED)
def test_a_partners_admin_gets_in_nowhere(granted: HostApp, driver: str) -> None:
    granted.save_sender("acme")
    before = revisions(granted)
    granted.actor = ACME_ADMIN
    found = ways_in(granted, driver)
    assert found == dict.fromkeys(found, "forbidden")
    assert revisions(granted) == before
    session = granted.db.session()
    assert session.scalars(select(WorkerTest)).all() == []
    tested = select(Audit).where(Audit.action == "connection.tested")
    assert session.scalars(tested).all() == [], "nothing was tried"
    assert kept_mails() == []


@pytest.mark.parametrize("driver", ["memory", "twin"])
def test_the_platforms_admin_gets_in_everywhere(
    granted: HostApp, driver: str, closed_port: int
) -> None:
    found = ways_in(granted, driver)
    assert "forbidden" not in found.values()
    assert (found["save"], found["test"], found["page "]) == ("ok", "ok", 303)


@pytest.mark.parametrize("driver", PRIVILEGED)
def test_nobody_else_brings_them_back(granted: HostApp, driver: str) -> None:
    """An admin had it for a while; its revision is no way round."""
    granted.save_sender("acme", driver=driver, ses_region="eu-central-1")
    granted.save_sender("acme", from_name="SMTP again")
    session = granted.db.session()
    granted.actor = ACME_ADMIN
    plan = plan_rollback(session, "acme", 1, actor=ACME_ADMIN)
    assert plan.obstacle is not None
    assert plan.obstacle.message == ONLY_ADMINS
    with pytest.raises(InvalidInput, match=ONLY_ADMINS):
        roll_back(session, "acme", 1, expected_revision=2, actor=ACME_ADMIN)
    session.rollback()
    data = {"number": 1, "revision": 2}
    for headers in (JSON, HTML):
        answer = granted.client.post(f"{PAGE}/rollback", data=data, headers=headers)
        assert answer.status_code == 400
        assert ONLY_ADMINS in unescape(answer.text)
    shown = granted.client.get(f"{PAGE}/rollback?number=1", headers=HTML).text
    assert "<button" not in shown.partition("<main")[2]
    assert load_sender(session, "acme").revision == 2
    granted.actor = ADMIN
    answer = granted.client.post(f"{PAGE}/rollback", data=data, headers=JSON)
    assert answer.status_code == 200, answer.text
    session.rollback()
    assert load_sender(session, "acme").values.driver == driver


@pytest.mark.parametrize("driver", PRIVILEGED)
def test_what_an_admin_chose_for_a_partner_is_not_the_partners_to_change(
    granted: HostApp, driver: str
) -> None:
    """Nor to test with other fields, roll back or delete; mail goes out by it all the same."""
    granted.save_sender("acme", from_name="Before")
    granted.save_sender("acme", driver=driver, ses_region="eu-central-1")
    granted.actor = ACME_ADMIN
    session = granted.db.session()
    posts = {
        "": form("smtp", 2), "/rollback": {"number": "1", "revision": "2"}, "/delete": {},
    }  # fmt: skip
    for path, data in posts.items():
        for headers in (JSON, HTML):
            answer = granted.client.post(PAGE + path, data=data, headers=headers)
            assert answer.status_code == 403, path
    tested = granted.client.post(f"{PAGE}/test-connection", json=form(driver))
    assert tested.get_json()["error"]["code"] == "forbidden"
    session.rollback()
    sender = load_sender(session, "acme")
    assert (sender.revision, sender.deleted, sender.values.driver) == (2, False, driver)
    page = granted.client.get(PAGE, headers=HTML)
    assert page.status_code == 200
    assert 'name="from_email"' not in page.text


def test_a_sender_by_memory_keeps_what_its_partner_queues(granted: HostApp) -> None:
    granted.save_sender("acme", driver="memory")
    granted.actor = ACME_ADMIN
    queue(granted, "sam@example.org")
    granted.work()
    assert [one.state for one in deliveries(granted)] == ["sent"]
    assert [one.recipient for one in kept_mails()] == ["sam@example.org"]


def test_another_key_is_no_way_round(granted: HostApp) -> None:
    granted.actor = ACME_ADMIN
    for driver in PRIVILEGED:
        answer = granted.client.post(f"{PAGE}/senders/more?new=1", data=form(driver), headers=HTML)
        assert ONLY_ADMINS in unescape(answer.text)
        for address in ("partners/globex", "system"):
            other = granted.client.post(f"/smtp-admin/{address}", data=form(driver))
            assert other.status_code in {403, 404}
    assert revisions(granted) == 0


def test_odd_names_choose_nothing_else(granted: HostApp) -> None:
    """What cleans to a name is that name; everything else is refused as unknown."""
    granted.actor = ACME_ADMIN
    sender, keyring = load_sender(granted.db.session(), "acme"), granted.installation.keyring
    for name in (" SENDMAIL ", "Sendmail", "sendmail\n"):
        with pytest.raises(InvalidInput, match=ONLY_ADMINS):
            read_request(form(name), sender, keyring, ACME_ADMIN)
    for name in ("send mail", "smtp,sendmail", "ｓｅｎｄｍａｉｌ", "smtp\0sendmail", "../sendmail"):
        with pytest.raises(InvalidInput) as caught:
            read_request(form(name), sender, keyring, ACME_ADMIN)
        assert list(caught.value.fields) == ["driver"]


def test_environment_does_not_lend_its_driver_to_partners(granted: HostApp) -> None:
    """The system's sender goes by SMTP where the environment has a host, whatever was saved."""
    granted.save_sender("", driver="memory")
    here = started_with(granted.installation, environment={"SMTP_HOST": "env.example"})
    granted.app.extensions["smtp_admin"] = here
    sender = load_sender(granted.db.session(), "")
    assert (sender.values.driver, sender.locked["driver"]) == ("smtp", "SMTP_HOST")
    other = load_sender(granted.db.session(), "acme")
    assert "driver" not in other.locked
    with pytest.raises(InvalidInput, match=ONLY_ADMINS):
        read_request(form("memory"), other, granted.installation.keyring, ACME_ADMIN)


def test_commands_are_the_operators(granted: HostApp) -> None:
    """Whoever runs them is at the machine already; what is not there is not there for them."""
    runner = granted.app.test_cli_runner()
    base = ["smtp-admin", "wizard", "--no-input", "--no-test", "--partner", "acme",
            "--from-email", "a@acme.example"]  # fmt: skip
    result = runner.invoke(args=[*base, "--driver", "memory"])
    assert result.exit_code == 0, result.output
    assert load_sender(granted.db.session(), "acme").values.driver == "memory"
    unknown = runner.invoke(args=[*base, "--driver", "nobody"])
    assert unknown.exit_code == 2
    assert "There is no driver 'nobody'" in unknown.output


# What is there already


def test_a_sender_that_keeps_mail_waits_where_that_is_not_allowed(host: HostApp) -> None:
    """Saved in development, started in production: nothing vanishes, and an admin can change it."""
    host.save_sender(driver="memory")
    queue(host)
    host.app.testing = False
    clear()
    host.work()
    (mail,) = deliveries(host)
    assert mail.state == "queued"
    assert kept_mails() == []
    host.actor = ADMIN
    assert "not allowed here" in unescape(host.client.get(PAGE, headers=HTML).text)
    answer = host.client.post(PAGE, data=form("smtp", 1), headers=HTML)
    assert answer.status_code == 303
    host.app.testing = True


def test_what_the_platform_set_up_is_not_a_partners_to_replace(host: HostApp, twin: Driver) -> None:
    for driver in ("sendmail", "twin"):
        host.save_sender(driver=driver)
        seen = load_sender(host.db.session(), "acme").revision
        with pytest.raises(InvalidInput, match="Only the platform's administrators"):
            save_settings(
                host.db.session(), "acme", values("smtp"), secrets={}, expected_revision=seen,
                actor=ACME_ADMIN,
            )  # fmt: skip
        host.db.session.rollback()
