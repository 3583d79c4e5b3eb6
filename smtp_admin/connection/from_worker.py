"""The connection test from two places at once: this process, and a worker on some machine.

Workers may stand in another network or trust other certificates. The request lies in a row for
some minutes, its password sealed; the job that goes through Redis carries the row's number only.
While Redis is away, workers find waiting rows by themselves.
"""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.outcomes import await_worker, note_workers_outcome, outcome_of
from smtp_admin.config import Config
from smtp_admin.connection.models import WorkerTest
from smtp_admin.connection.probe import TestResult, probe
from smtp_admin.connection.request import TestRequest
from smtp_admin.connection.results import from_text, keep_with_revision, to_text
from smtp_admin.connection.service import Prepared, log_failure, prepare, run_here
from smtp_admin.database import changed, database_now, transaction
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.encryption import Keyring
from smtp_admin.errors import SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.oauth.kept import with_tokens
from smtp_admin.providers.catalogue import replies
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, load_sender
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.report import StepResult
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Setup, Surroundings
from smtp_admin.transports.registry import driver

log = logging.getLogger("smtp_admin.connection")

#: A test that nobody took in this time is not run any more: the person is not waiting.
TAKE_WITHIN = timedelta(seconds=60)
#: A worker that has not answered by then was stopped; a test takes twenty seconds at most.
ANSWER_WITHIN = timedelta(seconds=40)
_FORGET_AFTER = timedelta(minutes=10)
#: How long a page waits for the worker, once it has a result of its own.
PAGE_WAITS_SECONDS = 3.0
_LOOK_EVERY_SECONDS = 0.1
Status = Literal["waiting", "running", "done", "failed", "unanswered"]


@dataclass(frozen=True, slots=True)
class BothTests:
    """How far a test from both places has come.

    Attributes:
        message: why there is no result of the worker, as sentences.
        hint: what to do about it.
        worker: the name of the worker that took it, or ``""``.
    """

    public_id: str
    status: Status
    web: TestResult | None = None
    remote: TestResult | None = None
    worker: str = ""
    message: str = ""
    hint: str = ""

    @property
    def pending(self) -> bool:
        """Whether looking again may show more."""
        return self.status in {"waiting", "running"}

    @property
    def rows(self) -> list[tuple[str, StepResult | None, StepResult | None]]:
        """Step by step: its name, how it went here, and how in the worker, if that is known."""
        here, there = (
            {step.name: step for step in one.report.steps} if one else {}
            for one in (self.web, self.remote)
        )
        tested = self.web or self.remote
        names = driver(tested.request.setup.driver).steps if tested else ()
        return [(name, here.get(name), there.get(name)) for name in names if name in here | there]

    @property
    def differs_at(self) -> str | None:
        """The first step that went otherwise in the other place, or ``None``."""
        if self.web is None or self.remote is None:
            return None
        return next(
            (
                name
                for name, here, there in self.rows
                if (here and here.status) != (there and there.status)
            ),
            None,
        )


def from_both_places(
    session: Session,
    partner_id: str,
    given: Mapping[str, Any],
    actor: Actor,
    *,
    wait_seconds: float = PAGE_WAITS_SECONDS,
    key: str = DEFAULT_KEY,
) -> BothTests:
    """Test here, let a worker test the same, and wait for it a little.

    It counts as two tests. The session is committed before anything is dialled.

    Args:
        wait_seconds: for the worker's result, after there is one of this process. Nobody waits
            where no worker can be called.

    Raises:
        InvalidInput, RateLimited, SecretError: as for the test from here; nothing was dialled.
    """
    with in_flight(partner_id):
        prepared = prepare(session, partner_id, given, actor, ("web", "worker"), key=key)
        test_id, public_id = ask_worker(session, partner_id, prepared, actor, key)
        session.commit()
        called = doorbell().call_for_test(test_id)
        result = run_here(session, partner_id, prepared, actor)
    changed(
        session,
        update(WorkerTest).where(WorkerTest.id == test_id).values(web_result=to_text(result)),
    )
    session.commit()
    ends = time.monotonic() + (wait_seconds if called and doorbell().workers() else 0.0)
    while True:
        found = look(session, partner_id, public_id, key)
        if found is None:  # forgotten while it was waited for
            return BothTests(public_id, "unanswered", web=result)
        if not found.pending or time.monotonic() > ends:
            return replace(found, web=result)  # the row does not have its secrets
        session.rollback()
        time.sleep(_LOOK_EVERY_SECONDS)


def look(
    session: Session, partner_id: str, public_id: str, key: str = DEFAULT_KEY
) -> BothTests | None:
    """How far the test has come; ``None`` if this sender has no such test (any more)."""
    # The worker changes the row: what this session read of it before may be old.
    row = session.scalar(
        select(WorkerTest)
        .where(
            WorkerTest.public_id == public_id,
            WorkerTest.partner_id == partner_id,
            WorkerTest.sender_key == key,
        )
        .execution_options(populate_existing=True)
    )
    moment = database_now(session)
    if row is None or row.created_at < moment - _FORGET_AFTER:
        return None
    status, message, hint = _status(row, moment)
    return BothTests(
        public_id,
        status,
        web=_result(row, row.web_result),
        remote=_result(row, row.worker_result),
        worker=row.worker,
        message=message,
        hint=hint,
    )


def waiting_tests(engine: Engine) -> list[int]:
    """The tests that nobody has taken; those that are over are forgotten."""
    with transaction(engine) as session:
        moment = database_now(session)
        _forget(session, moment)
        waiting = select(WorkerTest.id).where(
            WorkerTest.state == "waiting", WorkerTest.created_at > moment - TAKE_WITHIN
        )
        return list(session.scalars(waiting))


def _forget(session: Session, moment: datetime) -> None:
    """Delete old tests, and the secrets of those that nobody will run any more."""
    changed(session, delete(WorkerTest).where(WorkerTest.created_at < moment - _FORGET_AFTER))
    late = WorkerTest.created_at < moment - TAKE_WITHIN
    changed(session, update(WorkerTest).where(late).values(secrets={}))


def run_waiting_test(
    engine: Engine, config: Config, keyring: Keyring, worker: str, test_id: int
) -> bool:
    """Take a test that waits, and run it; whether it was there and nobody else was faster."""
    with transaction(engine) as session:
        row = session.get(WorkerTest, test_id)
        moment = database_now(session)
        taken = row is not None and changed(
            session,
            update(WorkerTest)
            .where(
                WorkerTest.id == test_id,
                WorkerTest.state == "waiting",
                WorkerTest.created_at > moment - TAKE_WITHIN,
            )
            # From here on the secrets are in this process alone.
            .values(state="running", worker=worker[:200], taken_at=moment, secrets={}),
        )
        sender = load_sender(session, row.partner_id, row.sender_key) if row else None
    if row is None or sender is None or not taken:
        return False
    result, problem = _run(row, keyring, lambda setup: with_tokens(
        Surroundings.from_config(config, replies()), engine, installation(), sender, setup,
        trying=True,
    ))  # fmt: skip
    with transaction(engine) as session:
        changed(
            session,
            update(WorkerTest)
            .where(WorkerTest.id == test_id)
            .values(
                state="failed" if result is None else "done",
                problem=problem[:500],
                worker_result=None if result is None else to_text(result),
            ),
        )
        if result is not None:
            place, outcome = result.request.setup.place, outcome_of(result.failure)
            note_workers_outcome(session, row.partner_id, place, row.public_id, outcome)
        # What was tested may have been saved meanwhile.
        now_saved = select(WorkerTest.revision_id).where(WorkerTest.id == test_id)
        revision_id = session.scalar(now_saved)
        if result is not None and revision_id is not None:
            keep_with_revision(session, revision_id, "worker", result, row.asked_by)
    return True


def count_worker_test(session: Session, public_id: str, saved: SenderRevision) -> None:
    """Let a worker's test of what was then saved as *saved* count for it; the caller commits.

    If it is under way still, its result will be kept by the worker. One of both waits for the
    other here, so that it is not each who leaves it to the other.
    """
    row = session.scalar(
        select(WorkerTest)
        .where(WorkerTest.public_id == public_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None or row.revision_id is not None:
        return
    row.revision_id = saved.id
    result = _result(row, row.worker_result)
    if result is not None:
        at = row.taken_at or row.created_at
        keep_with_revision(session, saved.id, "worker", result, row.asked_by, at)


def ask_worker(
    session: Session, partner_id: str, prepared: Prepared, actor: Actor, key: str = DEFAULT_KEY
) -> tuple[int, str]:
    """Leave *prepared* for a worker: its number for the job, and its public id; not committed.

    Raises:
        KeyMissing: there is a secret, and no key to seal it with.
    """
    _forget(session, database_now(session))  # a worker does it too, where one runs
    public_id, keyring = uuid.uuid4().hex, installation().keyring
    values = prepared.request.values
    row = WorkerTest(
        public_id=public_id,
        partner_id=partner_id,
        sender_key=key,
        revision_id=prepared.revision_id,
        asked_by=actor.name or actor.email,
        settings=dict(values),
        secrets={
            name: keyring.seal(secret, _binding(public_id, name, values))
            for name, secret in prepared.request.secrets.items()
            if secret
        },
    )
    session.add(row)
    entry = next(reversed(prepared.entries), None)
    await_worker(session, entry, prepared.request.setup.place, public_id)
    session.flush()
    return row.id, row.public_id


def _binding(public_id: str, name: str, values: SenderValues) -> list[object]:
    """A secret of a test serves that test alone, where it was to lead when it was asked for."""
    return ["worker test", public_id, name, values.destination.binding()]


def _run(
    row: WorkerTest, keyring: Keyring, around: Callable[[Setup], Surroundings]
) -> tuple[TestResult | None, str]:
    try:
        values = SenderValues.from_json(row.settings)
        secrets = {
            name: keyring.open(sealed, _binding(row.public_id, name, values))
            for name, sealed in row.secrets.items()
        }
    except LookupError as error:
        return None, _without_driver(error)
    except SecretError as error:
        return None, (
            gettext(
                "The worker cannot decrypt the password. %(message)s Start workers "
                "and web processes with the same keys.",
                message=error.message,
            )
        )
    try:
        request = _request(row, secrets)
        result = probe(request, around(request.setup))
    except LookupError as error:
        return None, _without_driver(error)
    except Exception:  # the person must hear of it, and the worker lives on
        log.exception("a connection test failed in an unexpected way")
        return None, gettext("Something went wrong in the worker. See its log.")
    log_failure(row.partner_id, result)
    return result, ""


def _without_driver(error: LookupError) -> str:
    return gettext("The worker does not have this sending method. %(error)s", error=error)


def _request(row: WorkerTest, secrets: Mapping[str, str]) -> TestRequest:
    values = SenderValues.from_json(row.settings)
    return TestRequest(values, values.kind.read(values, secrets), secrets)


def _status(row: WorkerTest, moment: datetime) -> tuple[Status, str, str]:
    if row.state == "done":
        return "done", "", ""
    if row.state == "failed":
        return "failed", row.problem, ""
    if row.state == "running":
        if row.taken_at is not None and row.taken_at < moment - ANSWER_WITHIN:
            return (
                "unanswered",
                gettext("A worker took the test but did not answer. It was probably stopped."),
                gettext("Test again."),
            )
        return "running", gettext("A worker is testing."), ""
    if row.created_at < moment - TAKE_WITHIN:
        return (
            "unanswered",
            gettext("No worker took the test within a minute."),
            gettext("Start a worker for this database: flask smtp-admin worker."),
        )
    workers = doorbell().workers()
    if workers is None:
        return (
            "waiting",
            gettext("Redis does not answer, so no worker was notified."),
            gettext("Workers check every ten seconds. Check again in a moment."),
        )
    if not workers:
        return (
            "waiting",
            gettext("No worker is running."),
            gettext(
                "Ask the operator to start one with `flask smtp-admin worker`, then check again."
            ),
        )
    return (
        "waiting",
        gettext("No worker has taken the test yet."),
        gettext("Check again in a moment."),
    )


def _result(row: WorkerTest, text: str | None) -> TestResult | None:
    return None if text is None else from_text(text, _request(row, {}))
