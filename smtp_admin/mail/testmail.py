"""The test e-mail: a real one, at once with unsaved settings, through the queue with saved ones."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Event, Timer
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.service import record_within
from smtp_admin.clock import now
from smtp_admin.database import host_engine
from smtp_admin.delivery import outbox
from smtp_admin.delivery.public_ids import new_public_id
from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.installation import Installation, installation
from smtp_admin.mail import service
from smtp_admin.mail.arrival_link import arrival_url
from smtp_admin.mail.compose import Order, message_from_type, render_for
from smtp_admin.mail.wording import words_in
from smtp_admin.oauth.kept import with_tokens
from smtp_admin.providers.catalogue import replies
from smtp_admin.read_back import read_back
from smtp_admin.sandbox import site
from smtp_admin.sandbox.rewriting import redirected
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.failure import CODES
from smtp_admin.translation import gettext, joined, number, said_by, wanted_language
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.driver import Setup, Surroundings
from smtp_admin.transports.outcome import Outcome, Verdict
from smtp_admin.transports.warm import make_transport

log = logging.getLogger("smtp_admin.testmail")

_COMMAND_SECONDS = 10.0
#: How long a person waits for a mail that is sent at once.
OVERALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A test mail that was queued (then it has an id to follow) or sent at once."""

    recipient: str
    public_id: str | None = None
    reply: str = ""


class TestMailRefused(InvalidInput):
    """A test mail that was tried at once and that the server, or the way to it, did not take.

    Attributes:
        outcome: what happened, for whoever explains it; ``code`` is one of a connection test.
        values: the settings it was tried with.
    """

    __test__ = False  # not one of pytest's

    def __init__(self, outcome: Outcome, values: SenderValues) -> None:
        said = gettext("It said: %(reply)s", reply=outcome.reply) if outcome.reply else ""
        code = outcome.code if outcome.code in CODES else "server_refused"
        super().__init__(
            joined((gettext("The test mail was not sent."), read_back(outcome.reason), said)),
            code=code,
        )
        self.reply = outcome.reply.as_json() if outcome.reply else None
        self.outcome = outcome
        self.values = values


def queue_test_mail(
    session: Session,
    partner_id: str,
    to: str,
    actor: Actor,
    key: str = DEFAULT_KEY,
    once: str | None = None,
) -> Sent:
    """Queue a test mail from the saved settings of a sender; the caller commits.

    It is in the language of the page where somebody asks for it, and carries a link by which its
    reader says that it arrived.

    Args:
        key: which of the senders of *partner_id*.
        once: an idempotency key; with a repeated one it is the mail that is there.

    Raises:
        InvalidInput: the address cannot be used, nothing was saved yet, or a variable of the
            environment is wrong. What a sandbox lets nobody have is queued all the same, and held.
        RateLimited: this person sends too many.
    """
    recipient = _recipient(to, actor)
    sender = load_sender(session, partner_id, key)
    sender.refuse_problems()
    if sender.missing_driver:
        raise InvalidInput(
            sender.missing_driver, hint=gettext("Choose another sending method on its tab.")
        )
    if not sender.configured:
        raise InvalidInput(
            gettext("No settings are saved for this sender."),
            hint=gettext(
                "Fill in its tab on the page and save. Or send the test mail from "
                "there with unsaved settings."
            ),
        )
    before = outbox.known_id(session, partner_id, once) if once else None
    if before:
        return Sent(_goes_to(recipient), before)
    _count(session, actor, partner_id, recipient)
    public_id = new_public_id()
    link = arrival_url(public_id, wanted_language())
    sent_id = service.send(
        session,
        "test",
        to=recipient,
        context=_context(sender.values) | {"arrival_url": link},
        language=wanted_language(),
        order=Order(partner_id, key, once, public_id=public_id),
    )
    return Sent(_goes_to(recipient), sent_id)


def send_test_mail_now(
    session: Session,
    sender: ResolvedSender,
    values: SenderValues,
    typed: Mapping[str, str],
    to: str,
    actor: Actor,
) -> Sent:
    """Send a test mail with settings that were not saved, and wait for the server's answer.

    No copy goes to an archive: it is not the sender's mail yet. Nothing of it is kept, so it has no
    link that could tell of its arrival.

    Args:
        typed: the secrets that were entered, by name; the stored ones where these are missing.

    Raises:
        InvalidInput: the address cannot be used, a sandbox lets no mail there out, or a secret must
            be entered.
        Unavailable: this process may not send for the database.
        SecretError: a stored secret cannot be opened.
        TestMailRefused: the server did not take the mail; the message carries its words.
        RateLimited: this person sends too many.
    """
    here = installation()
    site.require(session)
    setup = sender.setup(here.keyring, values, typed)
    recipient = _recipient(to, actor)
    _refuse_held(recipient)
    type_ = service.registry().get("test")
    voice = service.voice_for(session, type_, sender.partner_id, wanted_language())
    message = message_from_type(type_, recipient, _context(values), voice=voice)
    content = render_for(unsaved(sender, values), message).content
    mail_from = values.envelope_from or values.from_email
    goes_to = _goes_to(recipient)
    if here.config.sandbox is not None and here.config.sandbox.redirect:
        content, _ = redirected(content, [recipient], goes_to)
    with in_flight(sender.partner_id):
        _count(session, actor, sender.partner_id, recipient)
        outcome = _deliver(here, sender, setup, Outgoing(0, mail_from, goes_to, content))
    if outcome.verdict is Verdict.ACCEPTED:
        return Sent(goes_to, reply=str(outcome.reply or ""))
    log.error("test mail of partner %r failed: %s %s", sender.partner_id, outcome.reason,
              outcome.reply or "")  # fmt: skip
    raise TestMailRefused(outcome, values)


def _goes_to(recipient: str) -> str:
    """Where mail to *recipient* goes from here."""
    sandbox = installation().config.sandbox
    return sandbox.redirect if sandbox is not None and sandbox.redirect else recipient


def _refuse_held(recipient: str) -> None:
    sandbox = installation().config.sandbox
    if sandbox is not None and not sandbox.lets_out(recipient):
        words = gettext("The sandbox (SMTP_ADMIN_SANDBOX) does not send mail to this address.")
        raise InvalidInput(fields={"to": [words]})


def unsaved(sender: ResolvedSender, values: SenderValues) -> ResolvedSender:
    """*sender* as it would be with *values*."""
    return replace(sender, values=values, deleted=False, problems=())


def _deliver(here: Installation, sender: ResolvedSender, setup: Setup, mail: Outgoing) -> Outcome:
    config = here.config
    usual = with_tokens(
        Surroundings.from_config(config, replies()),
        host_engine(),
        here,
        sender,
        setup,
        trying=True,
    )
    timeouts = Timeouts(
        connect=config.connect_timeout, command=_COMMAND_SECONDS, final_dot=_COMMAND_SECONDS
    )
    impatient = replace(usual, dialler=replace(usual.dialler, timeouts=timeouts))
    transport = make_transport(setup, impatient)
    too_late = Event()

    def cut() -> None:
        too_late.set()
        transport.abort()

    # A server that answers each command just in time would hold the request for minutes.
    timer = Timer(OVERALL_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        (_, outcome), *_rest = transport.deliver([mail])
    finally:
        timer.cancel()
        transport.close()
    if too_late.is_set() and outcome.verdict is not Verdict.ACCEPTED:
        words = gettext(
            "The server did not finish within %(seconds)s seconds.",
            seconds=number(OVERALL_SECONDS),
        )
        return replace(outcome, code="timeout", cause="", reason=words)
    return outcome


def _recipient(to: str, actor: Actor) -> str:
    try:
        # Where no script runs, Enter in the field of the page leaves a line break behind.
        return clean_address(to.strip() or actor.email)
    except ValueError as error:
        raise InvalidInput(fields={"to": [said_by(error)]}) from error


def _count(session: Session, actor: Actor, partner_id: str, recipient: str) -> None:
    """One more test mail, to oneself or to somebody else; it is written down at once."""
    config = installation().config
    if recipient.casefold() == actor.email.casefold():
        action, limit, together = "testmail.self", config.test_limit, config.partner_test_limit
    else:
        action, limit, together = "testmail.other", config.test_mail_limit, None
    record_within(session, actor, partner_id, action, recipient, limit=limit, for_partner=together)


def _context(values: SenderValues) -> dict[str, Any]:
    words = words_in("test", wanted_language())
    security = next((one for one in fields_of(values.driver) if one.name == "security"), None)
    encryption = ""
    if security is not None:
        plain = values.security == "none"
        encryption = words["unencrypted"] if plain else security.words(values.security)
    return {
        "words": words,
        "host": values.place(),
        "port": values.port or "",
        "security": encryption,
        "from_email": values.from_email,
        "sent_at": f"{now():%Y-%m-%d %H:%M:%S} UTC",
    }
