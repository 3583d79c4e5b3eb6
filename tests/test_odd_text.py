"""Text that no database can hold: a sentence at every door, and never an error of ours."""

import re
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from smtp_admin.audit.service import name_of
from smtp_admin.errors import MessageError
from smtp_admin.host import Actor
from tests.app import ADMIN, HostApp
from tests.scene import HTML, JSON
from tests.servers.databases import MariaDB, PostgreSQL

ODD = ("%00", "a%00b", "%ed%a0%80", "%ff", "\ud800".encode("utf-8", "surrogatepass").hex("%"))
ASKED = ("number", "type", "mail", "preset", "customer", "from", "to", "before", "limit",
         "partner_id", "sender", "driver", "priority", "after")  # fmt: skip
NAMES = ("a\0b", "\ud800", "\0")


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, new_app: Callable[..., HostApp]) -> HostApp:
    """On the databases that refuse most."""
    server: PostgreSQL | MariaDB = request.getfixturevalue(request.param)
    made = new_app(uri=server.create_database())
    made.actor = ADMIN
    with made.app.app_context():
        made.save_sender("acme")
        made.save_sender("")
    return made


def test_in_the_address_of_every_page(site: HostApp) -> None:
    rules = [one for one in site.app.url_map.iter_rules() if one.endpoint.startswith("smtp_admin")]
    asked = 0
    for rule, odd in product(rules, ODD):
        if rule.endpoint.endswith(".static") or not rule.arguments:
            continue
        for name in rule.arguments:
            path = rule.rule.replace(f"<{name}>", odd).replace("<partner_id>", "acme")
            path = re.sub("<[^>]*>", "x", path)
            for method, headers in product((rule.methods or set()) - {"OPTIONS"}, (JSON, HTML)):
                answer = site.client.open(path, method=method, headers=headers)
                assert answer.status_code < 500, (method, path)
                if "%00" in odd and "unsubscribe" not in path:
                    assert answer.status_code == 404, (method, path)
                asked += 1
    assert asked > 300


def test_in_what_is_asked(site: HostApp) -> None:
    rules = [one.rule.replace("<partner_id>", "acme") for one in site.app.url_map.iter_rules()
             if one.endpoint.startswith("smtp_admin") and "GET" in (one.methods or ())]  # fmt: skip
    for rule, odd, headers in product(rules, ODD, (JSON, HTML)):
        if "<" in rule:
            continue
        answer = site.client.get(f"{rule}?" + "&".join(f"{name}={odd}" for name in ASKED),
                                 headers=headers)  # fmt: skip
        assert answer.status_code < 500, (rule, odd)


@pytest.mark.parametrize("name", [*NAMES, 7, b"x"])
def test_in_what_the_host_names(site: HostApp, name: object) -> None:
    plugin: Any = site.plugin
    context = {"name": "Sam", "reset_url": "https://acme.example/", "expires_minutes": 60}

    def send(**how: object) -> None:
        plugin.send("password_reset", to="sam@example.org", context=context, **how)

    with site.app.app_context():
        for how in ("partner_id", "sender", "idempotency_key"):
            with pytest.raises(MessageError):
                send(**{how: name})
        for how in ("batch_key", "label", "partner_id"):
            with pytest.raises(MessageError):
                plugin.send_many("password_reset", [("sam@example.org", context)], **{how: name})
        # The transaction goes on.
        send(partner_id="acme")
        site.db.session.commit()


def test_in_a_command(site: HostApp) -> None:
    runner = site.app.test_cli_runner()
    for arguments in (["mail", "show", "a\udcff"], ["explain", "--partner", "a\0b"]):
        answer = runner.invoke(args=["smtp-admin", *arguments])
        assert answer.exit_code == 2
        assert "This is not UTF-8" in answer.output


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Mia\r\n2026-01-01 12:00:00 UTC  sent", "Mia 2026-01-01 12:00:00 UTC  sent"),
        ("\x1b[31mMia\x9b2J\x00", "[31mMia 2J"),
        ("Mia\u202emoc.live", "Mia moc.live"),
        ("👩‍👧 Müller", "👩‍👧 Müller"),
        ("x" * 10_000, "x" * 320),
    ],
)
def test_who_did_something_is_one_line_that_steers_nothing(name: str, kept: str) -> None:
    """It is read in a terminal too, among lines that are no names."""
    assert name_of(Actor(id="7", email="", name=name)) == kept
