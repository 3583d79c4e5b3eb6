"""What went wrong with other products, tried on ours: the mail, the test and the page are right.

Each is one of a kind. The values are what is right, whatever the table says today.
"""

from dataclasses import dataclass
from typing import cast

import pytest

from smtp_admin.replies.meaning import Login, SenderHealth, Step, Verdict
from tests.replies.talking import RECIPIENT, SENDER, Talk, server_with
from tests.servers.scripted import Reply, ScriptedServer

KEPT, LATER, DEAD = Verdict.RELEASED, Verdict.TEMPORARY, Verdict.PERMANENT
GOES_ON, LIMITED, WRONG, DOWN = (
    SenderHealth.FINE, SenderHealth.LIMITED, SenderHealth.MISCONFIGURED, SenderHealth.DOWN,
)  # fmt: skip
NAME = "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"
PLESK = (
    "554 5.7.0 Your message could not be sent. The limit on the number of allowed outgoing "
    "messages was exceeded. Try again later."
)
MAILBOX = (
    "450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents\n"
    "450 4.2.1 additional messages from being delivered. a1-2b - gsmtp"
)
REFUSED_CLIENT = "554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied"
SES = (
    "554 Message rejected: Email address is not verified. The following identities failed the "
    "check in region EU-CENTRAL-1: "
)


@dataclass(frozen=True)
class Case:
    """A reply, and what is right about it.

    Attributes:
        test: what the connection test says; empty where it never comes so far.
        does: what must stand in the first cause, or its remedy.
    """

    step: Step
    said: str
    verdict: Verdict
    health: SenderHealth
    code: str
    cause: str
    test: str
    login: Login = "given"
    pause: float | None = None
    does: str = ""


def everywhere(
    said: str,
    verdict: Verdict,
    health: SenderHealth,
    code: str,
    cause: str,
    *,
    steps: str = "mail rcpt",
    pause: float | None = None,
    does: str = "",
) -> list[Case]:
    """The same at several steps; after the final dot there is no test."""
    return [
        Case(
            cast(Step, step),
            said,
            verdict,
            health,
            code,
            cause,
            "" if step == "dot" else "failed",
            pause=pause,
            does=does,
        )
        for step in steps.split()
    ]


CASES = [
    # The name in EHLO.
    *everywhere(NAME, KEPT, WRONG, "server_refused", "name_refused",
                does="SMTP_ADMIN_EHLO_NAME"),
    *everywhere("550 Invalid HELO name", KEPT, WRONG, "server_refused", "name_refused",
                does="“Name in EHLO”"),
    # Our own From: line.
    Case("dot", "501 5.1.7 Invalid or unparseable From address", KEPT, WRONG, "sender_refused",
         "from_unparseable", "", does="from name"),
    # The sender's rate.
    *everywhere("550 Connection frequency limited", KEPT, LIMITED, "rate_limited",
                "provider_limit", steps="mail rcpt dot"),
    *everywhere(PLESK, KEPT, LIMITED, "rate_limited", "provider_limit", steps="mail rcpt dot",
                pause=3600),
    *everywhere("550 User has exceeded outgoing email quota", KEPT, LIMITED, "rate_limited",
                "provider_limit", steps="mail rcpt dot"),
    *everywhere("550 5.7.0 More than 10 messages per second", KEPT, LIMITED, "rate_limited",
                "provider_limit", pause=30),
    *everywhere("550 5.7.0 exceeded the hourly limit", KEPT, LIMITED, "rate_limited",
                "provider_limit", pause=3600),
    *everywhere("550 5.4.5 Daily user sending quota exceeded", KEPT, LIMITED, "rate_limited",
                "gmail_daily_quota", pause=4 * 3600),
    # One mailbox that gets too much.
    Case("rcpt", MAILBOX, LATER, GOES_ON, "server_refused", "recipient_rate", "warning",
         pause=1200),
    # A connection that has served its time; a kept one stands in test_smtp_breaks.
    *(Case("mail", said, KEPT, DOWN, "server_refused", "connection_worn", "warning")
      for said in ("451 4.4.2 Timeout - closing connection.",
                   "451 Timeout waiting for data from client.",
                   "451 4.7.0 Too many messages in this session")),
    # Whose identity Amazon SES names.
    *(Case("dot", f"{SES}{named}", DEAD, GOES_ON, "recipient_refused", "ses_sandbox", "",
           does="sandbox")
      for named in ("Mia@EXAMPLE.org", "example.org", "bob@example.net, mia@example.org",
                    "bob@example.net, mia@exam...")),
    *(Case("dot", f"{SES}{named}", KEPT, WRONG, "sender_refused", "ses_not_verified", "")
      for named in ("News@ACME.example", "acme.example", "bob@example.net, news@acme.example")),
    # Our own syntax is not about what the login may do.
    Case("mail", "555 5.5.2 Syntax error", KEPT, WRONG, "server_refused", "our_syntax", "failed",
         does="unusual characters"),
    # A server for signed-in users, and nobody signed in.
    Case("rcpt", REFUSED_CLIENT, KEPT, WRONG, "auth_failed", "login_missing", "failed",
         login="left_out", does="login and password"),
    Case("rcpt", REFUSED_CLIENT, KEPT, WRONG, "sender_refused", "client_refused", "failed"),
    # The same judgement at the same place, of which test and worker used to disagree.
    Case("rcpt", "550 5.4.5 Daily user sending limit exceeded", KEPT, LIMITED, "rate_limited",
         "gmail_daily_quota", "failed", pause=4 * 3600),
    Case("mail", "535 5.7.8 no", KEPT, WRONG, "auth_failed", "login_wanted", "failed"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda one: f"{one.step} {one.said[:50]}")
def test_tried(case: Case) -> None:
    with server_with(case.step, case.said, case.login, None) as server:
        talk = Talk(server, case.login)
        talk.hold(recipient=RECIPIENT, sender=SENDER)
    outcome = talk.outcome
    assert (outcome.verdict, outcome.health) == (case.verdict, case.health)
    assert (outcome.code, outcome.cause) == (case.code, case.cause)
    if case.pause is not None:
        assert outcome.pause == case.pause
    assert talk.shown().key == case.cause
    assert case.does in f"{talk.shown().what} {talk.shown().do}"
    if case.test == "failed":
        assert talk.failure is not None
        assert (talk.failure.code, talk.failure.cause) == (case.code, case.cause)
        assert talk.shown_by_the_test() == talk.shown()
    else:
        assert talk.failure is None
        warned = [one.cause for one in talk.trial.cautions if "It said: " in one.message]
        assert warned == ([case.cause] if case.test else [])


@pytest.mark.parametrize(
    "offers",
    [["AUTH PLAIN", "AUTH NTLM"], ["AUTH NTLM", "AUTH PLAIN"], ["AUTH=LOGIN PLAIN"],
     ["AUTH\tLOGIN\tPLAIN"]],
)  # fmt: skip
def test_whatever_form_the_offer_of_logins_has(offers: list[str]) -> None:
    said = "\r\n".join(["250-localhost", *(f"250-{one}" for one in offers), "250 8BITMIME"])
    with ScriptedServer(auth=("robot", "secret"), behaviours={"ehlo": Reply(said)}) as server:
        talk = Talk(server, "given")
        talk.hold()
        assert talk.outcome.verdict is Verdict.ACCEPTED
        assert talk.failure is None


def test_only_logins_of_windows() -> None:
    with ScriptedServer(auth=("robot", "secret"), auth_methods=("NTLM", "GSSAPI")) as server:
        talk = Talk(server, "given")
        talk.hold()
    assert (talk.outcome.verdict, talk.outcome.health) == (KEPT, WRONG)
    assert talk.outcome.code == "auth_not_offered"
    assert talk.failure is not None
    assert talk.shown() == talk.shown_by_the_test()
    assert talk.shown().key == "only_windows_logins"
    assert "connector" in talk.shown().do
