"""Test a connection on behalf of a person: limit, audit, run, log, keep the result."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.outcomes import note_outcome, outcome_of
from smtp_admin.audit.service import NETWORK, record_within
from smtp_admin.connection.probe import TestResult, probe
from smtp_admin.connection.request import TestRequest, read_request
from smtp_admin.connection.results import Place, keep_with_revision
from smtp_admin.database import host_engine
from smtp_admin.diagnosis.background import background
from smtp_admin.diagnosis.causes import NOTHING
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.oauth.kept import with_tokens
from smtp_admin.providers.catalogue import replies
from smtp_admin.senders.history import find_revision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.report import StepResult
from smtp_admin.transports.driver import Surroundings

log = logging.getLogger("smtp_admin.connection")

#: What makes this platform dial as a person asks, and shares the limit on connection tests.
#: Told each step of a test as it ends.
Watch = Callable[[StepResult], None]


def _nobody(_step: StepResult) -> None:
    """Ignore the step."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A test that this person may run.

    Attributes:
        sender: whose settings these are, as it is saved.
        revision_id: the revision that is tested, if the settings are exactly a saved one.
        known: what may explain a failure beside what the test sees.
        entries: of the audit log, place by place; their outcome is added when there is one.
    """

    request: TestRequest
    sender: ResolvedSender
    revision_id: int | None
    known: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    entries: tuple[int, ...] = ()


def test_connection(
    session: Session,
    partner_id: str,
    given: Mapping[str, Any],
    actor: Actor,
    watch: Watch = _nobody,  # noqa: PT028 - not one of pytest's
    *,
    key: str = DEFAULT_KEY,  # noqa: PT028
) -> TestResult:
    """Test what *given* describes for a sender of *partner_id*.

    The session is committed before anything is dialled: no transaction waits for a mail server.

    Args:
        watch: told each step as it ends.

    Raises:
        InvalidInput: the fields cannot be used, or the stored password may not; nothing was
            dialled.
        RateLimited: this person tests too often, or enough tests run already.
        SecretError: the stored password cannot be opened.
    """
    with in_flight(partner_id):
        prepared = prepare(session, partner_id, given, actor, key=key)
        session.commit()
        return run_here(session, partner_id, prepared, actor, watch)


test_connection.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def prepare(
    session: Session,
    partner_id: str,
    given: Mapping[str, Any],
    actor: Actor,
    places: tuple[Place, ...] = ("web",),
    *,
    key: str = DEFAULT_KEY,
) -> Prepared:
    """Read what is to be tested and count it, once for each of *places*; the caller commits.

    Raises:
        InvalidInput, RateLimited, SecretError: as :func:`test_connection`.
    """
    here = installation()
    sender = load_sender(session, partner_id, key)
    # What would be tested is not what would be sent with, because nothing would be.
    sender.refuse_problems()
    request = read_request(given, sender, here.keyring, actor)
    details = [
        f"{request.setup.place}{' by a worker' if place == 'worker' else ''}" for place in places
    ]
    entries = record_within(
        session, actor, partner_id, "connection.tested", *details,
        limit=here.config.test_limit, for_partner=here.config.partner_test_limit, of=NETWORK,
    )  # fmt: skip
    revision_id = _tested_revision(session, sender, request)
    known = background(
        session, sender, values=request.values, secrets=(), typed=revision_id is None
    )
    return Prepared(request, sender, revision_id, known, entries)


def run_here(
    session: Session,
    partner_id: str,
    prepared: Prepared,
    actor: Actor,
    watch: Watch = _nobody,
) -> TestResult:
    """Dial from this process; the session has no transaction open."""
    here = installation()
    surroundings = with_tokens(
        Surroundings.from_config(here.config, replies()),
        host_engine(),
        here,
        prepared.sender,
        prepared.request.setup,
        trying=True,
    )
    result = probe(prepared.request, surroundings, watch=watch, known=prepared.known)
    log_failure(partner_id, result)
    note_outcome(session, next(iter(prepared.entries), None), outcome_of(result.failure))
    if prepared.revision_id is not None:
        try:
            keep_with_revision(
                session, prepared.revision_id, "web", result, actor.name or actor.email
            )
            session.commit()
        except DBAPIError as error:
            # The person waits for the result, not for its place in the history.
            session.rollback()
            log.warning("a test's result was not kept (%s)", type(error.orig).__name__)
    return result


def log_failure(partner_id: str, result: TestResult) -> None:
    """Write down that a test failed, if it did."""
    if result.failure is not None:
        log.error(
            "connection test of partner %r to %s failed: %s",
            partner_id,
            result.request.setup.place,
            result.failure,
        )


def _tested_revision(session: Session, sender: ResolvedSender, request: TestRequest) -> int | None:
    """The id of the revision in use, if it is what *request* tests, secrets included."""
    saved = find_revision(session, sender.partner_id, sender.revision, sender.key)
    if saved is None or not _same_test(sender.values, request.values):
        return None
    try:
        setup = sender.setup(installation().keyring)
    except (InvalidInput, SecretError):
        return None
    return saved.id if setup == request.setup else None


def _same_test(saved: SenderValues, tested: SenderValues) -> bool:
    """Whether both lead to the same place, as the same sender."""
    names = ("from_email", "envelope_from")
    return saved.destination == tested.destination and all(
        saved[name] == tested[name] for name in names
    )
