"""Amazon SES: signed calls, what answers mean, the stages of the test, and whose rights count."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from smtp_admin.http.connection import Connection
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.row import Row
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.driver import Driver, Setup, Surroundings, Trial
from smtp_admin.transports.outcome import Outcome, SenderHealth
from smtp_admin.transports.ses import driver as ses
from smtp_admin.transports.ses import signing
from smtp_admin.transports.ses.account import SESAccount
from tests.replies.judging import example_of
from tests.servers.provider_api import Call, ProviderAPI, Response
from tests.servers.ses import KEY_ID, REGION, SECRET, SESAPI, error
from tests.transports.contract.sink import surroundings
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    PERMANENT,
    RELEASED,
    TEMPORARY,
    UNCERTAIN,
    deliver,
    mail,
    mails,
    verdicts,
)

FINE, DOWN, MISCONFIGURED, LIMITED = (
    SenderHealth.FINE, SenderHealth.DOWN, SenderHealth.MISCONFIGURED, SenderHealth.LIMITED,
)  # fmt: skip
OUR_ROWS = [row for row in replies().rows if row.provider == "ses" and "api" in row.steps]


@pytest.fixture
def api() -> Iterator[SESAPI]:
    api = SESAPI()
    with api.server:
        yield api


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """One without credentials, whatever the environment of the tests is."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    signing._MACHINE.forget()
    yield
    signing._MACHINE.forget()


def setup(kind: Driver = ses.DRIVER, secret: str = SECRET, **values: str) -> Setup:
    usual = {"ses_region": REGION, "ses_configuration_set": "", "ses_key_id": KEY_ID}
    return kind.read(usual | values, {"ses_secret": secret})


def lent(api: SESAPI | ProviderAPI) -> Surroundings:
    server = api.server if isinstance(api, SESAPI) else api
    return surroundings(endpoints={"ses": server.url})


def one_outcome(
    api: SESAPI, sent: Outgoing | None = None, made: Setup | None = None, kind: Driver = ses.DRIVER
) -> Outcome:
    transport = kind.open(made or setup(kind), lent(api))
    try:
        (found,) = deliver(transport, [sent or mail(0)]).values()
    finally:
        transport.close()
    return found


def probed(
    api: SESAPI,
    made: Setup | None = None,
    kind: Driver = ses.DRIVER,
    *,
    seconds: float = 5,
    from_address: str = "",
) -> tuple[Trial, SMTPFailure | None]:
    trial = Trial(
        made or setup(kind),
        "news@mail.acme.example",
        lent(api),
        Report(),
        Deadline(seconds),
        from_address=from_address,
    )
    try:
        kind.test(trial)
    except SMTPFailure as failure:
        return trial, failure
    return trial, None


def steps(trial: Trial) -> dict[str, str]:
    return {one.name: one.status for one in trial.report.steps}


# --- What is sent ---------------------------------------------------------------------------------


def test_a_mail_goes_as_it_is(api: SESAPI) -> None:
    content = BODY + bytes(range(256)) + b"\r\n.\r\n"
    outcome = one_outcome(
        api,
        Outgoing(1, "bounces@acme.example", "mia@example.org", content),
        setup(ses_configuration_set="events"),
    )
    (posted,) = api.posted
    assert (posted.content, posted.recipient) == (content, "mia@example.org")
    assert (posted.feedback_to, posted.configuration_set) == ("bounces@acme.example", "events")
    assert outcome.verdict is ACCEPTED
    assert outcome.provider_id.startswith("0107")


def test_amazons_own_server_double_takes_it() -> None:
    """Moto stands for an implementation that is not ours; it also knows who is verified."""
    pytest.importorskip("flask_cors")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        connection = Connection(Endpoint.of(url), surroundings().dialler)
        signer = signing.signer_of_keys(REGION, setup().credential)
        body = b'{"EmailIdentity": "acme.example"}'
        path = "/v2/email/identities"
        headers = signer.headers("POST", connection.endpoint, path, body)
        made = connection.call("POST", path, signing.with_content(headers), body, seconds=10)
        connection.close()
        assert made.status == 200
        transport = ses.DRIVER.open(setup(), surroundings(endpoints={"ses": url}))
        content = b"From: news@%b\r\nTo: mia@example.org\r\nSubject: s\r\n\r\nText\r\n"
        outcomes = deliver(
            transport,
            [Outgoing(1, "", "mia@example.org", content % b"acme.example"),
             Outgoing(2, "", "mia@example.org", content % b"other.example")],
        )  # fmt: skip
        transport.close()
    finally:
        server.stop()
    assert outcomes[1].verdict is ACCEPTED
    assert outcomes[1].provider_id
    assert outcomes[2].verdict is not ACCEPTED


def test_where_calls_go_by_region() -> None:
    for region, host in (
        ("eu-central-1", "email.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "email.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "email.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "email.eusc-de-east-1.amazonaws.eu"),
    ):
        assert SESAccount(ses.clean_region(region)).host == host
    for bad in ("eu", "eu-central-1.evil.example", "eu-central-1/x", "EU_CENTRAL", "a-b-0"):
        with pytest.raises(ValueError, match="eu-central-1"):
            ses.clean_region(bad)


def test_fields_are_cleaned() -> None:
    assert ses.clean_region(" EU-Central-1 ") == REGION
    assert ses.clean_key_id(f" {KEY_ID} ") == KEY_ID
    with pytest.raises(ValueError, match="ends after some hours"):
        ses.clean_key_id("ASIA0123456789ABCDEF")
    for clean, bad in (
        (ses.clean_key_id, "not a key"), (ses.clean_secret, "short"),
        (ses.clean_configuration_set, "a b"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"\."):
            clean(bad)


def test_no_secret_is_shown_or_kept(api: SESAPI) -> None:
    assert SECRET not in f"{setup()!r} {setup().settings!r} {setup().place}"
    assert setup(secret="another-secret-0123") != setup()
    api.answer = lambda _: error("MessageRejected", f"your secret is {SECRET}")
    outcome = one_outcome(api)
    assert SECRET not in f"{outcome!r}"
    assert "*****" in str(outcome.reply)


# --- Answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict", "health", "code", "pause"),
    [
        (error("MessageRejected", "Email content is bad"), PERMANENT, FINE, "message_refused",
         None),
        (error("TooManyRequestsException", "Maximum sending rate exceeded.", 429), RELEASED,
         LIMITED, "rate_limited", 30.0),
        (error("TooManyRequestsException", "slow", 429, Retry_After="7"), RELEASED, LIMITED,
         "rate_limited", 7.0),
        (error("TooManyRequestsException", "Daily message quota exceeded.", 429), RELEASED,
         LIMITED, "rate_limited", 14400.0),
        (error("ThrottlingException", "Rate exceeded"), RELEASED, LIMITED, "rate_limited", 30.0),
        (error("SendingPausedException", "disabled for your account"), RELEASED, MISCONFIGURED,
         "sender_refused", None),
        (error("AccountSuspendedException", "x"), RELEASED, MISCONFIGURED, "sender_refused", None),
        (error("InternalFailure", "x", 500), TEMPORARY, FINE, "server_refused", None),
        (error("ServiceUnavailable", "x", 503), RELEASED, DOWN, "server_refused", None),
        (Response(504, b""), UNCERTAIN, DOWN, "timeout", None),
        (Response(200, b"{}"), UNCERTAIN, DOWN, "not_api", None),
        (Response(200, b"<html>"), UNCERTAIN, DOWN, "not_api", None),
        (Response(403, b"<html>forbidden"), RELEASED, MISCONFIGURED, "auth_failed", None),
        (Response.of({"__type": "com.amazon.coral#UnrecognizedClientException",
                      "Message": "invalid"}, 403), RELEASED, MISCONFIGURED, "auth_failed", None),
    ],
)  # fmt: skip
def test_answers(
    api: SESAPI, answer: Response, verdict: Any, health: Any, code: str, pause: float | None
) -> None:
    api.answer = lambda _: answer
    outcome = one_outcome(api)
    assert (outcome.verdict, outcome.health, outcome.code) == (verdict, health, code)
    assert outcome.pause == pause


@pytest.mark.parametrize("row", OUR_ROWS, ids=lambda row: row.key)
def test_the_test_says_what_sending_does(api: SESAPI, row: Row) -> None:
    status, _, words = example_of(row)[1].partition(" ")
    kind, _, message = words.partition(": ")
    api.answer = lambda _: error(kind, message, int(status))
    given = row.given
    outcome = one_outcome(
        api, Outgoing(1, given.sender or "a@acme.example", given.recipient or "r@x.example", BODY)
    )
    assert outcome.cause == row.cause
    if row.test == "warning" or row.names:  # of one recipient or sender, and the test has none
        return
    failure = probed(api)[1]
    assert failure is not None
    assert (failure.cause, failure.code) == (outcome.cause, outcome.code)


def test_a_wrong_secret_is_noticed_by_the_signature(api: SESAPI) -> None:
    outcome = one_outcome(api, made=setup(secret="another-secret-0123456789"))
    assert (outcome.cause, outcome.health) == ("ses_key", MISCONFIGURED)
    assert api.posted == []


# --- The stages of the test -----------------------------------------------------------------------


def test_all_is_well(api: SESAPI) -> None:
    trial, failure = probed(api)
    assert failure is None
    names = ("validate", "dns", "connect", "key", "sending", "identity", "production", "quota")
    assert steps(trial) == dict.fromkeys(names, "ok")
    told = {one.name: one.detail for one in trial.report.steps}
    assert told["identity"] == "acme.example is verified", "a domain above that of the address"
    assert told["quota"] == "49,880 of 50,000 mails left for 24 hours, 14 a second"
    assert trial.cautions == []
    assert api.posted == []


@pytest.mark.parametrize(
    ("change", "step", "cause"),
    [
        ({"SendingEnabled": False}, "sending", "ses_paused"),
        ({"EnforcementStatus": "SHUTDOWN"}, "sending", "ses_paused"),
        ({"SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 200.0}},
         "quota", "ses_daily_quota"),
    ],
)  # fmt: skip
def test_an_account_that_cannot_send(
    api: SESAPI, change: dict[str, Any], step: str, cause: str
) -> None:
    assert api.account is not None
    api.account |= change
    _, failure = probed(api)
    assert failure is not None
    assert (failure.step, failure.cause) == (step, cause)


def test_what_to_know_although_it_works(api: SESAPI) -> None:
    assert api.account is not None
    api.account |= {
        "ProductionAccessEnabled": False,
        "EnforcementStatus": "PROBATION",
        "SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 190.0},
    }
    trial, failure = probed(api)
    assert failure is None
    assert [one.code for one in trial.cautions] == [
        "ses_probation", "ses_sandbox", "ses_quota_low",
    ]  # fmt: skip


@pytest.mark.parametrize("identities", [{}, {"acme.example": False}, {"other.example": True}])
def test_an_identity_that_is_not_verified(api: SESAPI, identities: dict[str, bool]) -> None:
    api.identities = identities
    trial, failure = probed(api)
    assert failure is not None
    assert (failure.step, failure.cause) == ("identity", "ses_not_verified")
    assert steps(trial)["quota"] == "skipped"


@pytest.mark.parametrize(("verified", "works"), [("other.example", True), ("else.example", False)])
def test_both_addresses_of_a_mail_are_looked_at(api: SESAPI, verified: str, works: bool) -> None:
    """The envelope sender's identity alone says nothing of the From header's."""
    api.identities = {"acme.example": True, verified: True}
    trial, failure = probed(api, from_address="news@other.example")
    told = {one.name: one.detail for one in trial.report.steps}
    if works:
        assert told["identity"] == "other.example is verified; acme.example is verified"
        return
    assert failure is not None
    assert failure.cause == "ses_not_verified"
    assert "news@other.example" in failure.message


def test_a_key_that_may_only_send_is_enough(api: SESAPI) -> None:
    api.account = None
    trial, failure = probed(api)
    assert failure is None
    assert (steps(trial)["key"], steps(trial)["quota"]) == ("ok", "skipped")


def test_a_key_that_may_not_even_send(api: SESAPI) -> None:
    api.account = None
    words = "User: x is not authorized to perform: ses:SendEmail"

    def only_denies(call: Call) -> Response | None:
        return error("AccessDeniedException", words, 403) if call.method == "POST" else None

    api.answer = only_denies
    failure = probed(api)[1]
    assert failure is not None
    assert (failure.step, failure.cause) == ("key", "ses_permission")


@pytest.mark.parametrize(
    "answer", [Response(200, b"<html>Welcome"), Response(200, b"{}"), Response(302, b"")]
)
def test_what_is_no_api(api: SESAPI, answer: Response) -> None:
    api.answer = lambda _: answer
    failure = probed(api)[1]
    assert failure is not None
    assert (failure.step, failure.code) == ("key", "not_api")


# --- Whose rights ---------------------------------------------------------------------------------


def test_keys_never_fall_back_to_the_machine(api: SESAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender with a wrong key is refused, although the machine could send."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    outcome = one_outcome(api, made=setup(ses_key_id="AKIAXXXXXXXXXXXXXXXX"))
    assert (outcome.verdict, outcome.cause) == (RELEASED, "ses_key")
    assert all("AKIAXXXX" in call.headers["authorization"] for call in api.server.calls)


def test_a_machine_without_a_role_says_so(api: SESAPI) -> None:
    outcome = one_outcome(api, kind=ses.OF_MACHINE)
    assert (outcome.verdict, outcome.cause, outcome.opening) == (RELEASED, "ses_no_role", True)
    failure = probed(api, kind=ses.OF_MACHINE)[1]
    assert failure is not None
    assert (failure.step, failure.cause) == ("key", "ses_no_role")


def test_the_role_comes_from_the_machines_metadata(
    api: SESAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the service of containers, asked by botocore; renewed when it ends."""
    api.token = "a token of the role"
    told = {"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "Token": api.token,
            "Expiration": "2099-01-01T00:00:00Z"}  # fmt: skip
    with ProviderAPI(lambda _: Response.of(told)) as metadata:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{metadata.url}/role")
        outcome = one_outcome(api, kind=ses.OF_MACHINE)
        assert outcome.verdict is ACCEPTED
        assert [call.path for call in metadata.calls] == ["/role"]
        transport = ses.OF_MACHINE.open(setup(ses.OF_MACHINE), lent(api))
        assert set(verdicts(deliver(transport, mails(3))).values()) == {ACCEPTED}
        transport.close()
        assert len(metadata.calls) == 1, "found once"


def test_taking_on_a_role_is_dialled_by_our_policy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Botocore's own calls, here of STS, go by our connection, which does not go inside."""
    token = tmp_path / "token"
    token.write_text("a token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/mailer")
    said = (
        b"<AssumeRoleWithWebIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'>"
        b"<AssumeRoleWithWebIdentityResult><Credentials>"
        b"<AccessKeyId>%b</AccessKeyId><SecretAccessKey>%b</SecretAccessKey>"
        b"<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        b"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    ) % (KEY_ID.encode(), SECRET.encode())
    answer = Response(200, said, {"Content-Type": "text/xml"})
    with ProviderAPI(lambda _: answer) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        inside = surroundings().dialler
        keys = signing._MACHINE.keys(inside)
        assert (keys.access_key, keys.token) == (KEY_ID, "t")
        assert len(sts.calls) == 1
        signing._MACHINE.forget()
        with pytest.raises(SMTPFailure) as caught:
            signing._MACHINE.keys(Dialler(DiallingPolicy(frozenset())))
        assert caught.value.code == "destination_not_allowed"
        assert len(sts.calls) == 1


def test_a_region_that_there_is_not(api: SESAPI) -> None:
    """Nobody is called; test and worker say the same."""
    nowhere = Dialler(DiallingPolicy(frozenset(), resolve=lambda _host, _port: []))
    made = setup(ses_region="eu-nowhere-7")
    transport = ses.DRIVER.open(made, Surroundings(nowhere, replies()))
    assert deliver(transport, mails(1))[0].cause == "ses_api_region"
    trial = Trial(made, "", Surroundings(nowhere, replies()), Report(), Deadline(5))
    with pytest.raises(SMTPFailure) as caught:
        ses.DRIVER.test(trial)
    assert caught.value.cause == "ses_api_region"


# --- The library ----------------------------------------------------------------------------------


def test_the_library_is_loaded_when_it_is_needed() -> None:
    """Whoever does not send by SES does not pay for it."""
    code = (
        "import sys, smtp_admin.worker.process, smtp_admin.transports.registry as r\n"
        "r.driver('ses')\n"
        "assert not [m for m in sys.modules if m.startswith(('botocore', 'boto3'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_library_it_says_what_to_install(
    api: SESAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    outcome = one_outcome(api)
    assert (outcome.verdict, outcome.cause) == (RELEASED, "ses_library")
    failure = probed(api)[1]
    assert failure is not None
    assert (failure.code, failure.cause) == ("program_missing", "ses_library")
