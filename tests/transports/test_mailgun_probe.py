"""The test of a Mailgun sender: each stage, and what is told apart."""

from collections.abc import Iterator
from typing import Any

import pytest

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.transports.driver import Setup, Trial
from smtp_admin.transports.mailgun.driver import DRIVER
from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI, refusal
from tests.servers.provider_api import Response
from tests.transports.contract.sink import surroundings


@pytest.fixture
def api() -> Iterator[MailgunAPI]:
    api = MailgunAPI()
    with api.server:
        yield api


def _setup(domain: str, key: str) -> Setup:
    values = {"mailgun_region": "us", "mailgun_domain": domain}
    return DRIVER.read(values, {"mailgun_key": key})


def probed(
    api: MailgunAPI, *, domain: str = DOMAIN, key: str = KEY, seconds: float = 5
) -> tuple[Trial, SMTPFailure | None]:
    """A test of these settings, and its failure."""
    lent = surroundings(endpoints={"mailgun": api.server.url})
    trial = Trial(_setup(domain, key), "a@acme.example", lent, Report(), Deadline(seconds))
    try:
        DRIVER.test(trial)
    except SMTPFailure as failure:
        return trial, failure
    return trial, None


def steps(trial: Trial) -> dict[str, str]:
    return {one.name: one.status for one in trial.report.steps}


def test_all_is_well(api: MailgunAPI) -> None:
    trial, failure = probed(api)
    assert failure is None
    assert steps(trial) == dict.fromkeys(
        ("validate", "dns", "connect", "key", "domain", "sending"), "ok"
    )
    assert api.posted == [], "nothing is sent"
    assert api.server.connections == 1


def test_a_key_that_may_only_send_is_enough(api: MailgunAPI) -> None:
    api.about = None
    trial, failure = probed(api)
    assert failure is None
    assert (steps(trial)["key"], steps(trial)["domain"]) == ("ok", "skipped")


@pytest.mark.parametrize(
    ("about", "step", "cause"),
    [
        ({"state": "unverified"}, "domain", "mailgun_unverified"),
        ({"state": "disabled", "disabled": {"reason": "too many complaints"}}, "sending",
         "mailgun_disabled"),
        ({"state": "active", "is_disabled": True}, "sending", "mailgun_disabled"),
    ],
)  # fmt: skip
def test_a_domain_that_cannot_send(
    api: MailgunAPI, about: dict[str, Any], step: str, cause: str
) -> None:
    api.about = {"name": DOMAIN, "type": "custom", **about}
    trial, failure = probed(api)
    assert failure is not None
    assert (failure.step, failure.code, failure.cause) == (step, "sender_refused", cause)
    assert steps(trial)["key"] == "ok"
    if "disabled" in about:
        assert "too many complaints" in str(failure.reply)


def test_the_sandbox_domain_is_marked(api: MailgunAPI) -> None:
    api.about = {"name": DOMAIN, "state": "active", "type": "sandbox"}
    trial, failure = probed(api)
    assert failure is None
    assert [one.cause for one in trial.cautions] == ["mailgun_sandbox"]


def test_a_wrong_key_and_an_unknown_domain_are_told_apart(api: MailgunAPI) -> None:
    trial, failure = probed(api, key="another-key-of-somebody")
    assert failure is not None
    assert (failure.step, failure.code, failure.cause) == ("key", "auth_failed", "mailgun_key")
    assert steps(trial)["domain"] == "skipped"
    _, failure = probed(api, domain="mg.other.example")
    assert failure is not None
    assert (failure.step, failure.cause) == ("key", "mailgun_domain")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(429, "slow down", Retry_After="9"), "rate_limited"),
        (refusal(500, "oops"), "server_refused"),
        (refusal(503, "down"), "server_refused"),
        (Response(200, b"<html>Welcome to this network"), "not_api"),
        (Response(302, b""), "not_api"),
        (Response(raw=b"SSH-2.0-OpenSSH_9\r\n"), "not_api"),
        (Response(raw=b"HTTP/1.1 200", cut=5), "connection_lost"),
        (Response(hang=True), "timeout"),
    ],
)
def test_an_api_that_is_ill(api: MailgunAPI, answer: Response, code: str) -> None:
    api.answer = lambda _: answer
    trial, failure = probed(api, seconds=1)
    assert failure is not None
    assert (failure.step, failure.code) == ("key", code)
    assert [one.status for one in trial.report.steps if one.name == "key"] == ["failed"]


def test_nothing_listens(closed_port: int) -> None:
    lent = surroundings(endpoints={"mailgun": f"http://127.0.0.1:{closed_port}"})
    trial = Trial(_setup(DOMAIN, KEY), "", lent, Report(), Deadline(5))
    with pytest.raises(SMTPFailure) as caught:
        DRIVER.test(trial)
    assert (caught.value.step, caught.value.cause) == ("connect", "api_unreachable")
