"""Explain: each value that applies to a mail, and who says so."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader

from smtp_admin.clock import now
from smtp_admin.delivery.fallbacks import Fallback
from smtp_admin.mail.explain import Facts, explain, gather
from smtp_admin.mail.explained import Row
from smtp_admin.mail.service import READY
from smtp_admin.mail.templates import Chosen, Origin
from smtp_admin.mail.types import SHIPPED, EmailType
from smtp_admin.mail.wording import Texts
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.routing import Choice, save_routes
from smtp_admin.senders.values import SenderValues
from tests.app import ADMIN, HostApp

MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)
EMPTY = SenderValues()
FULL = SenderValues(
    host="mail.acme.example",
    port=465,
    security="ssl",
    username="u",
    from_email="noreply@acme.example",
    from_name="Acme",
    reply_to="help@acme.example",
    envelope_from="bounce@acme.example",
    max_per_hour=1000,
    max_per_day=5000,
    max_connections=5,
    headers=(("X-Pool", "1"),),
    archive_to="archive@acme.example",
    fallbacks=("news", "system"),
)
TYPE = EmailType(name="welcome", label="Welcome", variables={}, sample={})
NOBODY = ResolvedSender(0, "acme", 0, EMPTY)
ACME = ResolvedSender(2, "acme", 7, FULL)
NEWS = ResolvedSender(
    3, "acme", 2, FULL.replace(from_email="news@acme.example"), key="news", label="Newsletters"
)
SYSTEM = ResolvedSender(1, "", 3, FULL.replace(from_email="noreply@platform.example", fallbacks=()))
LIST = (Fallback("news", NEWS), Fallback("system", SYSTEM))
FILES = {"subject.liquid": False, "text.liquid": False}
LATER = MOMENT + timedelta(hours=1)
PAUSED = replace(NEWS, paused_until=LATER, pause_reason="The server refused the login.")


def rows(
    choice: Choice | ResolvedSender = ACME,
    type_: EmailType = TYPE,
    files: dict[str, bool] = FILES,
    fallbacks: tuple[Fallback, ...] = LIST,
    partner_id: str = "acme",
) -> dict[str, Row]:
    """What is said, by name."""
    chosen = choice if isinstance(choice, Choice) else Choice(choice, "default")
    fallbacks = fallbacks if chosen.sender.values.fallbacks else ()
    origins: dict[str, Origin] = {part: "app" if own else "shipped" for part, own in files.items()}
    template = Chosen(Texts("", "", ""), origins, "en")
    facts = Facts(type_, partner_id, chosen, fallbacks, "Northwind", template, MOMENT)
    found = explain(facts)
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def said(found: dict[str, Row], name: str) -> tuple[str, str, str]:
    row = found[name]
    return row.value, row.source, row.detail


def test_a_partners_own_settings() -> None:
    found = rows()
    assert said(found, "sender") == ("the partner's own", "partner", "revision 7")
    for name, value in {
        "driver": "SMTP", "host": "mail.acme.example", "port": "465", "security": "SSL/TLS",
        "username": "u", "verify_tls": "yes",
        "from_email": "noreply@acme.example", "from_name": "Acme",
        "reply_to": "help@acme.example", "envelope_from": "bounce@acme.example",
        "max_connections": "5", "headers": "X-Pool: 1", "archive_to": "archive@acme.example",
        "max_per_hour": "1,000, a tenth of it kept for urgent mail",
    }.items():  # fmt: skip
        assert said(found, name) == (value, "partner", "revision 7"), name
    assert said(found, "state") == ("yes", "partner", "")
    assert "password" not in found
    assert "ca_certificate" not in found


def test_who_steps_in_and_whether_they_can() -> None:
    found = rows()
    assert said(found, "fallback") == (
        "the sender Newsletters takes over, from news@acme.example", "partner", "revision 7",
    )  # fmt: skip
    assert said(found, "fallback_1") == (
        "the sender Newsletters, from news@acme.example", "partner", "can send",
    )  # fmt: skip
    found = rows(fallbacks=(Fallback("news", PAUSED), Fallback("system", SYSTEM)))
    assert said(found, "fallback")[0] == (
        "the system's sender takes over, from noreply@platform.example"
    )
    assert said(found, "fallback_1") == (
        "the sender Newsletters", "partner",
        "sends now: no: paused until 13:00 UTC. The server refused the login",
    )  # fmt: skip
    found = rows(fallbacks=(Fallback("news", PAUSED), Fallback("gone", None)))
    assert said(found, "fallback") == (
        "mail waits", "partner", "revision 7: no fallback can send now",
    )  # fmt: skip
    assert said(found, "fallback_2") == ("gone", "partner", "this sender no longer exists")
    assert said(rows(SYSTEM, partner_id=""), "fallback") == (
        "mail waits", "system", "revision 3: no fallback",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(NEWS, "named"), ("its key", "app", "set by the caller")),
        (Choice(NEWS, "type", "acme"), ("the route of Welcome", "partner")),
        (Choice(NEWS, "priority", "acme"), ("the route of normal mail", "partner")),
        (Choice(SYSTEM, "type", ""), ("the route of Welcome", "system")),
        (Choice(ACME, "default"), ("default", "default", "no route applies")),
        (Choice(NOBODY, "system"), ("default", "default", "no sender is set up")),
    ],
)
def test_by_which_rule_it_is_the_one(choice: Choice, expected: tuple[str, ...]) -> None:
    assert said(rows(choice), "rule")[: len(expected)] == expected


def test_one_of_several_senders() -> None:
    assert said(rows(NEWS), "sender") == (
        "the partner's own: Newsletters", "partner", "revision 2",
    )  # fmt: skip


def test_what_nobody_entered() -> None:
    bare = SenderValues(host="mail.example", from_email="noreply@acme.example")
    found = rows(replace(ACME, values=bare))
    assert said(found, "from_name") == ("Northwind", "default", "the partner's name")
    assert said(found, "reply_to")[:2] == ("noreply@acme.example", "default")
    assert said(found, "envelope_from") == ("noreply@acme.example", "default", "the from address")
    assert said(found, "username") == ("none", "default", "")
    for name, value in {
        "max_per_hour": "no limit", "max_per_day": "no limit", "headers": "none",
        "archive_to": "nobody",
    }.items():  # fmt: skip
        assert said(found, name) == (value, "default", "")
    assert said(found, "fallback")[:2] == ("mail waits", "partner")


def test_no_archive_gets_sensitive_mail() -> None:
    found = rows(type_=replace(TYPE, sensitive=True))
    assert said(found, "archive_to") == ("nobody", "type", "sensitive mail is never archived")


def test_the_systems_sender_for_a_partner_without_settings() -> None:
    found = rows(SYSTEM)
    assert said(found, "sender") == (
        "the system's", "default", "the partner has saved no settings",
    )  # fmt: skip
    assert said(found, "from_email") == ("noreply@platform.example", "system", "revision 3")


def test_variables_of_the_environment_by_name() -> None:
    held = replace(SYSTEM, locked={"host": "SETGET_SMTP_HOST", "password": "SETGET_SMTP_PASSWORD"})
    found = rows(held)
    assert said(found, "host") == ("mail.acme.example", "environment", "SETGET_SMTP_HOST")
    assert said(found, "port")[1] == "system"
    # Without anything saved, the rest is the default.
    only = replace(held, revision=0)
    assert said(rows(only), "port") == ("465", "default", "")
    wrong = replace(held, problems=("SMTP_PORT: A port is a whole number.",))
    assert said(rows(wrong), "state") == (
        "no: not usable", "environment", "SMTP_PORT: A port is a whole number.",
    )  # fmt: skip
    gone = replace(ACME, problems=("There is no driver 'pigeon'.",))
    assert said(rows(gone), "state") == (
        "no: not usable", "partner", "There is no driver 'pigeon'.",
    )  # fmt: skip


def test_why_nothing_is_sent() -> None:
    nothing = Choice(ResolvedSender(1, "", 0, EMPTY), "system")
    found = rows(nothing)
    assert said(found, "state")[0] == "no: not set up"
    assert said(found, "from_email")[:2] == ("none yet", "default")
    assert "host" not in found
    assert said(rows(PAUSED), "state") == (
        "no: paused until 13:00 UTC", "partner", "The server refused the login.",
    )  # fmt: skip
    over = replace(PAUSED, paused_until=MOMENT - timedelta(seconds=1))
    assert said(rows(over), "state")[0] == "yes"


def test_the_systems_own_mail() -> None:
    found = rows(SYSTEM, partner_id="")
    assert said(found, "sender") == ("the system's", "system", "revision 3")
    assert said(found, "fallback")[0] == "mail waits"


@pytest.mark.parametrize(
    ("more", "name", "expected"),
    [
        ({}, "priority", ("normal", "type", "Welcome")),
        ({}, "expires", ("72 hours", "default", "of normal mail")),
        ({"priority": "urgent"}, "expires", ("1 hour", "default", "of urgent mail")),
        ({"expires_hours": 0.5}, "expires", ("0.5 hours", "type", "Welcome")),
        ({}, "on_uncertain", ("sent again once", "default", "")),
        ({"on_uncertain": "hold"}, "on_uncertain", ("held until someone decides", "type",
                                                     "Welcome")),
        ({"sensitive": True}, "sensitive", ("erased once accepted", "type", "Welcome")),
    ],
)  # fmt: skip
def test_what_follows_from_the_type(more: dict[str, Any], name: str, expected: Any) -> None:
    assert said(rows(type_=replace(TYPE, **more)), name) == expected


def test_where_templates_come_from() -> None:
    found = rows(files={"subject.liquid": False, "text.liquid": True})
    assert said(found, "subject_template") == (
        "smtp_admin/email/welcome/subject.liquid", "default", "comes with the plugin",
    )  # fmt: skip
    assert said(found, "text_template")[1] == "app"
    assert said(found, "html_template")[0] == "none"
    ready = rows(type_=READY, files={})
    assert said(ready, "template") == ("none", "type", "the message brings its own text")
    assert "text_template" not in ready


# On the page and in a terminal


def test_the_page_and_its_json(host: HostApp) -> None:
    host.save_sender("acme", from_name="Acme <b>", max_per_hour=80)
    host.save_sender("", from_name="Platform")
    ask = host.client.get
    body = ask("/smtp-admin/partners/acme/explain?type=password_reset").get_json()
    assert (body["ok"], body["partner_id"], body["type"]) == (True, "acme", "password_reset")
    found = {one["name"]: one for one in body["rows"]}
    assert found["from_name"] == {
        "name": "from_name", "label": "From name", "value": "Acme <b>", "source": "partner",
        "detail": "revision 1",
    }  # fmt: skip
    assert found["priority"]["value"] == "urgent"
    assert found["text_template"]["source"] == "default"
    limit = found["recipient_limit"]
    assert (limit["value"], limit["detail"]) == ("5 in 60 minutes", "SMTP_ADMIN_RECIPIENT_LIMITS")
    headers = {"Accept": "text/html"}
    for type_ in (*SHIPPED, READY):
        address = f"/smtp-admin/partners/acme/explain?type={type_.name}"
        page = ask(address, headers=headers)
        assert page.status_code == 200
        assert f'<option value="{type_.name}" selected>' in page.text
        assert "Acme &lt;b&gt;" in page.text
    assert ask("/smtp-admin/system/explain", headers=headers).status_code == 200
    wrong = ask("/smtp-admin/system/explain?type=nonsense")
    assert wrong.status_code == 400
    assert "password_reset" in wrong.get_json()["error"]["message"]


def test_what_is_explained_is_what_happens(host: HostApp) -> None:
    """The same facts as those of a mail, on a real installation."""
    session = host.db.session()
    assert gather(session, "acme", "test").sender.partner_id == ""
    host.save_sender("acme")
    assert gather(session, "acme", "test").sender.partner_id == "acme"
    assert gather(session, "globex", "test").sender.partner_id == ""
    assert abs(gather(session, "acme", "test").moment - now()) < timedelta(minutes=1)
    host.save_sender("acme", key="news", from_email="news@acme.example", fallbacks=("default",))
    assert gather(session, "acme", "test").choice.rule == "default"
    assert gather(session, "acme", "test", "news").choice.rule == "named"
    save_routes(session, "acme", {("type", "test"): "news"}, ADMIN)
    facts = gather(session, "acme", "test")
    assert (facts.choice.rule, facts.sender.key) == ("type", "news")
    assert [one.sender and one.sender.key for one in facts.fallbacks] == [""]


def test_a_template_of_the_apps_own(host: HostApp, tmp_path: Path) -> None:
    session = host.db.session()

    def origins() -> dict[str, str]:
        template = gather(session, "acme", "test").template
        assert template
        return dict(template.origins)

    shipped = dict.fromkeys(("subject.liquid", "text.liquid", "html.liquid"), "shipped")
    assert origins() == shipped
    folder = tmp_path / "smtp_admin" / "email" / "test"
    folder.mkdir(parents=True)
    (folder / "text.liquid").write_text("Own")
    environment = host.app.jinja_env
    before = environment.loader
    assert before
    from jinja2 import FileSystemLoader

    environment.loader = ChoiceLoader([FileSystemLoader(tmp_path), before])
    assert origins() == shipped | {"text.liquid": "app"}
    one = DictLoader({"smtp_admin/email/test/subject.liquid": "x"})
    environment.loader = ChoiceLoader([one, before])
    assert origins() == shipped | {"subject.liquid": "app"}


def test_the_command(new_app: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETGET_SMTP_FROM_NAME", "From outside")
    host = new_app(ENV_PREFIX="SETGET_")
    host.actor = ADMIN
    with host.app.app_context():
        host.save_sender("")
    run = host.app.test_cli_runner().invoke
    words = ["smtp-admin", "explain", "--partner", "acme", "--type", "password_reset"]
    result = run(args=[*words, "--json"])
    assert result.exit_code == 0, result.output
    found = {one["name"]: one for one in json.loads(result.stdout)["rows"]}
    assert found["from_name"]["value"] == "From outside"
    assert found["from_name"]["detail"] == "SETGET_SMTP_FROM_NAME"
    shown = run(args=words)
    assert shown.exit_code == 0
    assert "SETGET_SMTP_FROM_NAME" in "".join(shown.output.split())
    same = run(args=["smtp-admin", "explain", "password_reset", "--partner", "acme"])
    assert same.output == run(args=words).output
    both = run(args=["smtp-admin", "explain", "welcome", "--type", "test"])
    assert (both.exit_code, "Two types are named" in both.output) == (1, True)
    wrong = run(args=["smtp-admin", "explain", "--type", "nonsense"])
    assert wrong.exit_code == 1
    assert "There is no e-mail type" in wrong.output
