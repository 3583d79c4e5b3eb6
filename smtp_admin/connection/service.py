"""Test a connection on behalf of a person: limit, audit, run, log."""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.connection.probe import TestResult, probe
from smtp_admin.connection.request import read_request
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.settings.sender import load_sender
from smtp_admin.settings.service import check_rate, record
from smtp_admin.smtp.opening import Dialler

log = logging.getLogger("smtp_admin.connection")

#: What makes this platform dial as a person asks, and shares the limit on connection tests.
DIALLED = ("connection.tested", "settings.searched")


def test_connection(
    session: Session, partner_id: str, given: Mapping[str, Any], actor: Actor
) -> TestResult:
    """Test what *given* describes for the sender of *partner_id*.

    The session is committed before anything is dialled: no transaction waits for a mail server.

    Raises:
        InvalidInput: the fields cannot be used, or the stored password may not; nothing was
            dialled.
        RateLimited: this person tests too often.
        SecretError: the stored password cannot be opened.
    """
    here = installation()
    sender = load_sender(session, partner_id)
    # What would be tested is not what would be sent with, because nothing would be.
    sender.refuse_problems()
    request = read_request(given, sender, here.keyring)
    check_rate(session, actor, DIALLED, here.config.test_limit)
    to = request.destination
    record(session, actor, partner_id, "connection.tested", f"{to.host}:{to.port} {to.security}")
    session.commit()
    result = probe(request, Dialler.from_config(here.config))
    failure = result.failure
    if failure is not None:
        log.error(
            "connection test of partner %r to %s:%s (%s) failed: %s",
            partner_id,
            to.host,
            to.port,
            to.security,
            failure,
        )
    return result


test_connection.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's
