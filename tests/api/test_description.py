"""The description of the API is what it does: asked by schemathesis, with and without a token."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from flask import request

from smtp_admin import Actor
from smtp_admin.api.answers import ANSWERS
from smtp_admin.api.operations import OPERATIONS
from smtp_admin.api.scopes import SCOPES
from smtp_admin.dns import NAMES
from smtp_admin.smtp.nameserver import NameService
from tests.app import ADMIN, HostApp
from tests.mail.newsletter import add_newsletter
from tests.servers.dns import DNSServer

from .conftest import API, a_token
from .fuzzing import CHECKS, Asked, ask_everything, served

#: Requests of the long run, of each kind of caller.
LEAST = 1000


@pytest.fixture
def patient(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    """A site without limits, whose name server knows no name."""
    many = "900000 per minute"
    made = new_app(API_LIMIT=many, TEST_LIMIT=many, TESTS_AT_ONCE=100)
    add_newsletter(made)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with DNSServer() as dns, made.app.app_context():
        NAMES.put(made.installation, NameService((dns.address,)))
        for partner_id in ("", "acme", "globex"):
            made.save_sender(partner_id)
            made.save_sender(partner_id, key="newsletters")
        yield made


#: What the cookie of the platform's admin is.
ADA = "ada-is-signed-in"


def logins(site: HostApp) -> dict[str, dict[str, Any]]:
    """Who asks → how they show who they are."""
    return {
        "partner's token": {"token": {"bearer": a_token(site, "acme")}},
        "platform's token": {"token": {"bearer": a_token(site, "")}},
        "session": {"session": {"api_key": ADA}},
        "nobody": {},
    }


def actor_of_cookie() -> Actor | None:
    """As a host does that looks at the session."""
    return ADMIN if request.cookies.get("session") == ADA else None


def asked(site: HostApp, who: str, login: dict[str, Any], examples: int, **phases: Any) -> Asked:
    with patch.object(site.host, "current_actor", actor_of_cookie), served(site) as address:
        found = ask_everything(address, login, examples=examples, **phases)
    assert found.wrong == [], "\n".join(found.wrong[:5])
    assert set(found.checks) == CHECKS
    assert found.statuses() < {200, 201, 202, 400, 401, 403, 404, 405, 409, 413, 415, 429}
    if who == "nobody":
        assert {status for what, status in found.answers if "openapi" not in what} <= {401, 405}
    else:
        assert {200, 202, 400, 404} <= found.statuses()
    return found


@pytest.mark.parametrize("who", ["partner's token", "nobody"])
def test_a_few_requests(patient: HostApp, who: str) -> None:
    asked(patient, who, logins(patient)[who], 3, coverage={"enabled": False})


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("who", ["partner's token", "platform's token", "session", "nobody"])
def test_many_requests(patient: HostApp, who: str) -> None:
    """In every phase: examples, boundaries, random values, one operation after another."""
    found = asked(patient, who, logins(patient)[who], 60)
    told = sorted(f"{label} {status}: {count}" for (label, status), count in found.answers.items())
    sys.stdout.write(f"{who}: {found.cases} requests; {', '.join(told)}\n")
    assert found.cases >= LEAST


def test_it_says_what_the_tables_say(site: HostApp) -> None:
    """Each operation of the table, with the fields, statuses and scopes that it has there."""
    found = site.client.get(f"{API}/openapi.json").get_json()
    assert found["openapi"] == "3.1.0"
    described = {
        (method.upper(), re.sub(r"{(\w+)}", r"<\1>", path)): what
        for path, methods in found["paths"].items()
        for method, what in methods.items()
    }
    assert described.keys() == {(one.method, one.path) for one in OPERATIONS}
    for one in OPERATIONS:
        what = described[one.method, one.path]
        assert {int(status) for status in what["responses"]} >= set(one.answers)
        if what["security"]:
            assert set(what["security"][0]["token"]) <= SCOPES.keys()
            assert what["security"][0]["token"], one.name
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(found)))
    assert names == ANSWERS.keys()
