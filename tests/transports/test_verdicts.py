"""What each reply means for the message and its sender: every row of the table of replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.meaning import Step
from smtp_admin.smtp.failure import CODES, Code, SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.transports import verdicts
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict

FINE, DOWN = SenderHealth.FINE, SenderHealth.DOWN
MISCONFIGURED, LIMITED = SenderHealth.MISCONFIGURED, SenderHealth.LIMITED
STAGES: tuple[Step, ...] = ("mail", "rcpt", "data", "dot")


def reply(text: str) -> Reply:
    code, _, words = text.partition(" ")
    return Reply(int(code), (words,))


def of(stage: Step, text: str) -> Outcome:
    return verdicts.of_reply(stage, reply(text), replies())


@pytest.mark.parametrize(
    ("code", "text", "health"),
    [
        ("dns_failed", None, DOWN),
        ("connection_refused", None, DOWN),
        ("unreachable", None, DOWN),
        ("timeout", None, DOWN),
        ("connection_lost", None, DOWN),
        ("not_smtp", None, DOWN),
        ("tls_failed", None, DOWN),
        ("server_refused", "421 4.3.2 closing", DOWN),
        ("server_refused", "554 5.7.1 go away", DOWN),
        ("server_refused", "502 no EHLO", DOWN),
        ("server_refused", "454 4.3.0 not now", DOWN),
        ("server_refused", "421 4.7.0 too fast", LIMITED),
        ("certificate_error", None, MISCONFIGURED),
        ("tls_not_offered", None, MISCONFIGURED),
        ("auth_not_offered", None, MISCONFIGURED),
        ("auth_failed", "535 5.7.8 wrong", MISCONFIGURED),
        ("auth_failed", "534 5.7.9 too weak", MISCONFIGURED),
        ("auth_failed", "530 5.7.0 needed", MISCONFIGURED),
        ("password_required", None, MISCONFIGURED),
        ("destination_not_allowed", None, MISCONFIGURED),
    ],
)
def test_before_the_mail(code: Code, text: str | None, health: SenderHealth) -> None:
    """Always the sender's affair: the mail goes back and no attempt is counted."""
    step = "auth" if code == "auth_failed" else "greeting"
    failure = SMTPFailure(code, step, "It failed.", reply=reply(text) if text else None)
    outcome = verdicts.of_opening(failure, replies())
    assert (outcome.verdict, outcome.health) == (Verdict.RELEASED, health)
    assert outcome.code == code
    assert outcome.reason == "It failed."


@given(st.sampled_from(CODES))
def test_every_opening_failure_releases(code: Code) -> None:
    outcome = verdicts.of_opening(SMTPFailure(code, "connect", "It failed."), replies())
    assert outcome.verdict is Verdict.RELEASED
    assert outcome.health is not FINE


@pytest.mark.parametrize("code", ["timeout", "connection_lost", "not_smtp"])
@pytest.mark.parametrize("after_dot", [False, True])
def test_conversation_that_breaks(code: Code, after_dot: bool) -> None:
    """Before the dot the server has nothing; after it nobody knows."""
    failure = SMTPFailure(code, "data", "It broke.")
    outcome = verdicts.of_broken_conversation(failure, after_dot=after_dot)
    assert outcome.verdict is (Verdict.UNCERTAIN if after_dot else Verdict.RELEASED)
    assert outcome.health is DOWN


ROWS: list[tuple[str, str, Verdict, SenderHealth]] = [
    # 421 anywhere: the health's, and temporary
    ("mail", "421 4.3.2 closing", Verdict.RELEASED, DOWN),
    ("rcpt", "421 closing", Verdict.RELEASED, DOWN),
    ("dot", "421 4.4.2 timeout", Verdict.RELEASED, DOWN),
    # a login is wanted, anywhere: settings
    ("mail", "530 5.7.0 Authentication required", Verdict.RELEASED, MISCONFIGURED),
    ("mail", "530 5.7.57 Client was not authenticated", Verdict.RELEASED, MISCONFIGURED),
    ("rcpt", "530 5.7.1 log in first", Verdict.RELEASED, MISCONFIGURED),
    ("mail", "535 5.7.3 not authenticated", Verdict.RELEASED, MISCONFIGURED),
    # 4xx at MAIL: the message's, and temporary
    ("mail", "451 4.3.0 local error", Verdict.TEMPORARY, FINE),
    ("mail", "452 4.3.1 no space", Verdict.TEMPORARY, FINE),
    ("mail", "450 4.7.1 try later", Verdict.TEMPORARY, FINE),
    # 4xx at RCPT: the recipient's, and temporary
    ("rcpt", "450 4.2.0 greylisted", Verdict.TEMPORARY, FINE),
    ("rcpt", "451 4.7.1 greylisting in action", Verdict.TEMPORARY, FINE),
    ("rcpt", "450 greylisted for 5 minutes", Verdict.TEMPORARY, FINE),
    ("rcpt", "452 4.2.2 mailbox full", Verdict.TEMPORARY, FINE),
    ("rcpt", "452 4.5.3 too many recipients", Verdict.TEMPORARY, FINE),
    ("rcpt", "451 4.4.4 no route", Verdict.TEMPORARY, FINE),
    # 5xx at MAIL: the sender address is refused
    ("mail", "550 5.7.1 not yours", Verdict.PERMANENT, FINE),
    ("mail", "553 5.1.8 no such domain", Verdict.PERMANENT, FINE),
    ("mail", "501 5.1.7 syntax", Verdict.PERMANENT, FINE),
    ("mail", "552 5.3.4 too big", Verdict.PERMANENT, FINE),
    # 5xx at RCPT
    ("rcpt", "550 5.1.1 no such user", Verdict.PERMANENT, FINE),
    ("rcpt", "550 5.1.2 no such domain", Verdict.PERMANENT, FINE),
    ("rcpt", "556 5.1.10 null MX", Verdict.PERMANENT, FINE),
    ("rcpt", "551 5.1.6 moved", Verdict.PERMANENT, FINE),
    ("rcpt", "550 no such user", Verdict.PERMANENT, FINE),
    ("rcpt", "450 4.2.1 is receiving mail at a rate that prevents", Verdict.TEMPORARY, FINE),
    ("rcpt", "552 5.2.2 mailbox full", Verdict.PERMANENT, FINE),
    ("rcpt", "554 5.7.1 relay access denied", Verdict.PERMANENT, FINE),
    ("rcpt", "550 5.7.1 blocked", Verdict.PERMANENT, FINE),
    ("rcpt", "553 mailbox name not allowed", Verdict.PERMANENT, FINE),
    # at DATA: the mail was not sent, so nothing can have been accepted
    ("data", "554 5.5.1 no valid recipients", Verdict.PERMANENT, FINE),
    ("data", "451 4.3.0 try again", Verdict.TEMPORARY, FINE),
    ("data", "421 4.3.2 closing", Verdict.RELEASED, DOWN),
    ("data", "250 2.0.0 Ok", Verdict.RELEASED, DOWN),
    ("data", "334 what", Verdict.RELEASED, DOWN),
    # after the dot
    ("dot", "250 2.0.0 Ok: queued as 4F", Verdict.ACCEPTED, FINE),
    ("dot", "250", Verdict.ACCEPTED, FINE),
    ("dot", "250 5.0.0 contradicts itself", Verdict.ACCEPTED, FINE),
    ("dot", "550 5.7.1 spam", Verdict.PERMANENT, FINE),
    ("dot", "554 transaction failed", Verdict.PERMANENT, FINE),
    ("dot", "552 5.3.4 message too big", Verdict.PERMANENT, FINE),
    ("dot", "521 5.5.2 bare <LF> received", Verdict.PERMANENT, FINE),
    ("dot", "451 4.3.0 try again", Verdict.TEMPORARY, FINE),
    ("dot", "450 4.7.1 greylisted", Verdict.TEMPORARY, FINE),
    ("dot", "452 4.3.1 no space", Verdict.TEMPORARY, FINE),
    # the reply's code counts where the enhanced one contradicts it
    ("rcpt", "450 5.1.1 no such user", Verdict.TEMPORARY, FINE),
    ("rcpt", "550 4.2.0 greylisted", Verdict.PERMANENT, FINE),
    # out of turn: no SMTP any more
    ("mail", "354 go on", Verdict.RELEASED, DOWN),
    ("rcpt", "334 what", Verdict.RELEASED, DOWN),
    # missing SPF and DKIM: every mail of this sender would end so
    ("dot", "550 5.7.515 access denied, sending domain does not meet", Verdict.RELEASED,
     MISCONFIGURED),
    ("dot", "550 5.7.26 unauthenticated sender", Verdict.RELEASED, MISCONFIGURED),
    ("dot", "550 5.7.27 SPF did not pass", Verdict.RELEASED, MISCONFIGURED),
    # the account or its address as a whole, also where only the dot brings it out
    ("dot", "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
     Verdict.RELEASED, MISCONFIGURED),
    ("dot", "550 5.7.30 Basic authentication is not supported for Client Submission.",
     Verdict.RELEASED, MISCONFIGURED),
    ("dot", "554 5.2.252 SendAsDenied; a@b not allowed to send as c@d", Verdict.RELEASED,
     MISCONFIGURED),
    ("dot", "550 5.1.8 Access denied, bad outbound sender", Verdict.RELEASED, MISCONFIGURED),
    ("dot", "554 Message rejected: Email address is not verified.", Verdict.RELEASED,
     MISCONFIGURED),
    ("dot", "554 Access denied: User is not authorized to perform `ses:SendRawEmail'",
     Verdict.RELEASED, MISCONFIGURED),
    ("dot", "550 The from address does not match a verified Sender Identity.", Verdict.RELEASED,
     MISCONFIGURED),
    ("dot", "550 5.7.1 Unconfigured Sending Domain <acme.example>", Verdict.RELEASED,
     MISCONFIGURED),
    ("dot", "554 Sandbox subdomains are for test purposes only.", Verdict.RELEASED,
     MISCONFIGURED),
    ("dot", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
     Verdict.RELEASED, LIMITED),
    ("mail", "432 4.3.2 Concurrent connections limit exceeded", Verdict.RELEASED, LIMITED),
    ("mail", "451 Authentication failed: Maximum credits exceeded", Verdict.RELEASED, LIMITED),
    ("rcpt", "550 5.7.26 unauthenticated sender", Verdict.RELEASED, MISCONFIGURED),
    # the sender's rate
    ("mail", "421 4.7.0 try again later", Verdict.RELEASED, LIMITED),
    ("dot", "421 4.7.0 unusual rate", Verdict.RELEASED, LIMITED),
    ("mail", "550 rate limit exceeded", Verdict.RELEASED, LIMITED),
    ("rcpt", "550 5.4.5 daily user sending quota exceeded", Verdict.RELEASED, LIMITED),
    ("rcpt", "451 4.7.1 Too many messages from this sender", Verdict.RELEASED, LIMITED),
    ("dot", "454 Throttling failure: maximum sending rate exceeded", Verdict.RELEASED, LIMITED),
    # Postfix's limits per client (anvil)
    ("mail", "450 4.7.1 Error: too much mail from 192.0.2.1", Verdict.RELEASED, LIMITED),
    ("rcpt", "450 4.7.1 Error: too many recipients from 192.0.2.1", Verdict.RELEASED, LIMITED),
    ("rcpt", "550 Domain example.com has exceeded the max emails per hour (150/100 (150%)) allowed",
     Verdict.RELEASED, LIMITED),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "text", "verdict", "health"), ROWS)
def test_row(stage: Step, text: str, verdict: Verdict, health: SenderHealth) -> None:
    outcome = of(stage, text)
    assert (outcome.verdict, outcome.health) == (verdict, health)
    assert outcome.reply == reply(text)
    if verdict is not Verdict.ACCEPTED:
        assert outcome.reason.endswith(".")
        assert outcome.code in {*CODES, "recipient_refused", "message_refused"}


@pytest.mark.parametrize(
    "text",
    [
        "552 5.2.2 <bob@example.com>: Quota exceeded for user bob",
        "552 5.2.2 Quota exceeded for mailbox",
        "552 5.2.2 mailbox has too many messages",
        "552 5.3.4 message exceeded max size",
        "552 5.2.3 message exceeded maximum size",
        "550 5.1.1 throttle@example.com: no such user",
    ],
)
@pytest.mark.parametrize("stage", ["rcpt", "data", "dot"])
def test_one_recipients_fault_does_not_stop_the_sender(stage: Step, text: str) -> None:
    """A full mailbox or a large mail sounds like a limit, but it is not the sender's.

    Were it, one such mail would pause its sender, be released, and pause it again, for ever.
    """
    outcome = of(stage, text)
    assert (outcome.verdict, outcome.health) == (Verdict.PERMANENT, FINE)


@pytest.mark.parametrize("text", ["452 4.2.2 Quota exceeded for mailbox", "452 4.2.2 over quota"])
def test_full_mailbox_for_now(text: str) -> None:
    outcome = of("rcpt", text)
    assert (outcome.verdict, outcome.health) == (Verdict.TEMPORARY, FINE)


@pytest.mark.parametrize(
    ("text", "bad_address"),
    [
        ("550 5.1.1 no such user", True),
        ("550 5.1.2 no such domain", True),
        ("553 5.1.3 syntax", True),
        ("551 5.1.6 moved", True),
        ("556 5.1.10 null MX", True),
        ("550 5.2.1 disabled", False),
        ("552 5.2.2 full", False),
        ("550 5.7.1 policy", False),
        ("550 no such user", False),
        ("450 5.1.1 x", False),
        ("450 4.1.1 x", False),
        ("550 4.1.1 x", False),
        # These two name the *sender's* address, whichever command they answer (RFC 3463, 3.2).
        ("553 5.1.7 bad sender syntax", False),
        ("550 5.1.8 sender address rejected: domain not found", False),
    ],
)
def test_address_that_is_wrong_for_good(text: str, bad_address: bool) -> None:
    """Only what says so itself: a suppressed address gets no more mail."""
    assert of("rcpt", text).bad_address is bad_address


@pytest.mark.parametrize("text", ["250 2.1.5 Ok", "550 5.7.1 spam", "451 4.3.0 x"])
def test_only_a_recipient_can_be_a_bad_address(text: str) -> None:
    assert not of("dot", text).bad_address


@pytest.mark.parametrize("text", ["354 go on", "334 what", "300 huh"])
def test_out_of_turn_after_the_dot(text: str) -> None:
    """The mail is with the server and no verdict came: that is what uncertain means."""
    assert of("dot", text).verdict is Verdict.UNCERTAIN


@given(
    st.sampled_from(STAGES),
    st.integers(200, 599),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
)
def test_any_reply_has_a_meaning(stage: Step, code: int, words: str) -> None:
    outcome = verdicts.of_reply(stage, Reply(code, (words,)), replies())
    match outcome.verdict:
        case Verdict.ACCEPTED:
            assert stage == "dot"
            assert 200 <= code <= 299
            assert outcome.health is FINE
        case Verdict.PERMANENT:
            assert 500 <= code <= 599
        case Verdict.TEMPORARY:
            assert 400 <= code <= 499
        case Verdict.UNCERTAIN:
            assert stage == "dot"
            assert 300 <= code <= 399
    if outcome.health is not FINE:
        assert outcome.verdict in {Verdict.RELEASED, Verdict.UNCERTAIN}, "no attempt is burnt"


@pytest.mark.parametrize(
    "text",
    [
        "552 5.3.4 Message size exceeds fixed maximum message size",
        "552 5.2.3 Message too large",
        "552 Message size exceeds fixed maximum message size",
    ],
)
def test_a_mail_that_is_announced_too_large_is_not_the_senders_fault(text: str) -> None:
    """Servers refuse it at MAIL, by its SIZE (RFC 1870); three such mails must pause nobody."""
    outcome = of("mail", text)
    assert (outcome.verdict, outcome.health) == (Verdict.PERMANENT, FINE)
    assert outcome.code == "message_refused"
    assert of("mail", "552 5.2.2 over quota").code == "sender_refused"


@pytest.mark.parametrize("why", ["not owned by user c@b.example", "not logged in", "Access denied"])
def test_a_sender_refused_at_rcpt_is_not_the_recipients_fault(why: str) -> None:
    """Postfix keeps its refusal of MAIL back until then."""
    said = f"553 5.7.1 <a@b.example>: Sender address rejected: {why}"
    assert of("rcpt", said) == of("mail", said)
    assert of("rcpt", said).code == "sender_refused"
    assert not of("rcpt", said).bad_address
    other = "553 5.7.1 <x@y.example>: Recipient address rejected: Access denied"
    assert of("rcpt", other).code == "recipient_refused"


@pytest.mark.parametrize(
    "said",
    [
        "554 5.7.1 <x@y.example>: Relay access denied",
        "550 5.7.1 Relaying denied",
        "550 relay not permitted",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        "553 5.7.1 x@y.example: we are not allowed to relay for you",
    ],
)
def test_a_server_that_does_not_relay_refuses_the_sender(said: str) -> None:
    outcome = of("rcpt", said)
    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "sender_refused")
    assert not outcome.bad_address
    assert of("rcpt", said.replace("55", "45", 1)).verdict is Verdict.TEMPORARY
