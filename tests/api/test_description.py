"""The description of the API is what it does: asked by schemathesis, with and without a token."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

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

#: Requests of the long run, all in all.
LEAST = 2000


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


def tokens(site: HostApp) -> dict[str, str | None]:
    """Who asks → the token, if they have one."""
    return {
        "partner's token": a_token(site, "acme"),
        "platform's token": a_token(site, ""),
        "session": None,
        "nobody": None,
    }


def asked(site: HostApp, who: str, token: str | None, examples: int, **phases: Any) -> Asked:
    site.actor = ADMIN if who == "session" else None
    with served(site) as address:
        found = ask_everything(address, token, examples=examples, **phases)
    assert found.wrong == [], "\n".join(found.wrong[:5])
    assert set(found.checks) == CHECKS
    assert found.statuses() < {200, 202, 400, 401, 403, 404, 405, 409, 413, 415, 429}
    if who == "nobody":
        assert {status for what, status in found.answers if "openapi" not in what} <= {401, 405}
    else:
        assert {200, 202, 400, 404} <= found.statuses()
    return found


@pytest.mark.parametrize("who", ["partner's token", "nobody"])
def test_a_few_requests(patient: HostApp, who: str) -> None:
    asked(patient, who, tokens(patient)[who], 3, coverage={"enabled": False})


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_requests(patient: HostApp) -> None:
    """With each kind of caller, in every phase: examples, boundaries, random values, sequences."""
    total = 0
    for who, token in tokens(patient).items():
        found = asked(patient, who, token, 60)
        total += found.cases
        sys.stdout.write(f"{who}: {found.cases} requests, {dict(found.answers)}\n")
    assert total >= LEAST, total


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
