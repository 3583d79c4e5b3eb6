"""The test of the SMTP driver: everything that sending does, but no mail.

After the session is open, the sender address is tried: MAIL FROM, then RCPT TO the same address
(Postfix and others refuse a sender only there), then RSET.
"""

from collections.abc import Mapping
from typing import Literal, cast

from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.smtp.client import GOODBYE_SECONDS, SMTPClient
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.smtp.session import Dialler, Security, Server
from smtp_admin.translation import gettext
from smtp_admin.transports import verdicts
from smtp_admin.transports.driver import Caution, Trial
from smtp_admin.transports.outcome import SenderHealth
from smtp_admin.transports.smtp.context import context_of
from smtp_admin.transports.smtp.opening import Opening

#: In the order of the conversation, for what was not reached.
STEPS: Mapping[str, str] = {
    "validate": gettext("Settings"),
    "token": gettext("Token"),
    "dns": "DNS",
    "connect": gettext("Connect"),
    "greeting": gettext("Greeting"),
    "ehlo": "EHLO",
    "starttls": "STARTTLS",
    "tls": gettext("Encryption"),
    "certificate": gettext("Certificate"),
    "auth": gettext("Login"),
    "sender": gettext("Sender"),
    "quit": gettext("Quit"),
}
_NOT_NEEDED: Mapping[Security, frozenset[str]] = {
    "none": frozenset({"starttls", "tls", "certificate"}),
    "ssl": frozenset({"starttls"}),
    "tls": frozenset(),
}
_CLOSING = 421


def test(trial: Trial) -> None:
    """Go through the whole conversation.

    Raises:
        SMTPFailure: where it fails; ``trial.report`` has all steps, those not reached too.
    """
    server = cast(Server, trial.setup.settings)
    dialler, credential = trial.surroundings.dialler, trial.setup.credential
    try:
        trial.report.run("validate", lambda: (_validate(server, dialler), None))
        client = _open(server, credential, trial)
        talking = False
        try:
            _try_sender(client, trial)
            talking = True
        except SMTPFailure as failure:
            talking = failure.reply is not None and failure.reply.code != _CLOSING
            raise
        finally:
            _say_goodbye(client, trial.report, talking=talking)
    finally:
        not_needed = _NOT_NEEDED[server.security]
        if not isinstance(credential, OAuthLogin):
            not_needed |= {"token"}
        _mark_unreached(trial.report, not_needed)
    trial.cautions.extend(_about_encryption(server, credential))


def _open(server: Server, credential: Credential, trial: Trial) -> SMTPClient:
    surroundings = trial.surroundings
    try:
        opening = Opening(server, credential, surroundings.dialler, surroundings.tokens)
        return opening.open(overall=trial.overall, report=trial.report)
    except SMTPFailure as failure:
        verdicts.recognise(failure, surroundings.replies, context_of(server, credential))
        raise


def _validate(server: Server, dialler: Dialler) -> str:
    dialler.policy.check_port(server.port)
    return gettext("%(host)s, port %(port)s", host=server.host, port=server.port)


def _try_sender(client: SMTPClient, trial: Trial) -> None:
    address = trial.sender_address
    if not address:
        trial.report.skip("sender", gettext("no from address was given"))
        return

    def try_it() -> tuple[str, Reply]:
        reply = client.mail(address)
        if not reply.positive:
            return _judge(client, "mail", reply, trial)
        reply = client.recipient(address, step="sender")
        if not reply.positive:
            return _judge(client, "rcpt", reply, trial)
        return gettext("%(address)s is accepted", address=address), reply

    trial.report.run("sender", try_it)


def _judge(
    client: SMTPClient, step: Literal["mail", "rcpt"], reply: Reply, trial: Trial
) -> tuple[str, Reply]:
    """A refusal of the sender address, by the table that sending is judged by."""
    if not (reply.temporary or reply.permanent):
        raise SMTPFailure(
            "not_smtp",
            "sender",
            gettext("The server's answer does not match the command."),
            hint=gettext("It is broken, or not a mail server. Check host and port."),
            reply=reply,
        )
    address, server = trial.sender_address, cast(Server, trial.setup.settings)
    context = context_of(server, trial.setup.credential, client, sender=address, recipient=address)
    judged = trial.surroundings.replies.judge(step, reply, context)
    if judged.test == "failed":
        failed = verdicts.code_of(judged)
        refused = gettext("The server does not accept mail from %(address)s.", address=address)
        raise SMTPFailure(
            failed,
            "sender",
            refused if failed == "sender_refused" else judged.reason,
            hint=_HINTS.get(failed, ""),
            reply=reply,
            cause=judged.cause,
            facts=judged.facts,
        )
    if judged.health is SenderHealth.LIMITED:
        code, message = "rate_limited", judged.reason
    elif reply.temporary:
        code = "sender_not_now"
        message = (
            gettext("The server refused the sender address for now.")
            if step == "mail"
            else gettext("The server refused mail to the sender address for now.")
        )
    else:
        code, message = "sender_not_a_mailbox", _NO_MAILBOX
    unknown = "" if judged.recognised else str(reply)
    trial.cautions.append(
        Caution(
            code,
            gettext("%(message)s It said: %(reply)s", message=message, reply=reply),
            judged.cause,
            unknown,
        )
    )
    return message, reply


_HINTS: Mapping[str, str] = {
    "auth_failed": gettext("Enter the login and password that your provider gave you for sending."),
    "sender_refused": gettext(
        "Use an address of this login, or verify the address or its domain at your provider."
    ),
}
_NO_MAILBOX = gettext(
    "The server accepts the sender address, but says that it cannot receive mail."
)


def _say_goodbye(client: SMTPClient, report: Report, *, talking: bool) -> None:
    """Forget the envelope, and QUIT. What the server says to that changes nothing any more."""
    replies: list[Reply | None] = []

    def say() -> tuple[str, Reply | None]:
        still_talking = talking
        if talking:
            try:
                client.reset(seconds=GOODBYE_SECONDS)
            except SMTPFailure:
                still_talking = False
        replies.append(client.quit(wait=still_talking))
        return ("" if replies[0] else gettext("the server closed the connection")), replies[0]

    report.run("quit", say)


def _mark_unreached(report: Report, not_needed: frozenset[str]) -> None:
    """Add the steps that belong to this kind of connection and were not reached."""
    have = {step.name for step in report.steps}
    unreached = [
        StepResult(name, "skipped", 0.0, gettext("not reached"))
        for name in STEPS
        if name not in have | not_needed and name != "quit"
    ]
    goodbye = [step for step in report.steps if step.name == "quit"]
    happened = [step for step in report.steps if step.name != "quit"]
    report.steps[:] = [*happened, *unreached, *goodbye]


def _about_encryption(server: Server, credential: Credential) -> list[Caution]:
    found = []
    if server.security == "none":
        what = (
            gettext("Mail and password travel") if credential.username else gettext("Mail travels")
        )
        found.append(
            Caution(
                "no_encryption",
                gettext(
                    "%(what)s without encryption. Anyone between here and the server can read it.",
                    what=what,
                ),
            )
        )
    elif not server.verify_tls:
        found.append(
            Caution(
                "certificate_not_checked",
                gettext(
                    "The server's certificate is not checked, so an attacker could read "
                    "mail and password."
                ),
            )
        )
    return found
