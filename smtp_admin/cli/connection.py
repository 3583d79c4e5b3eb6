"""``test-connection``: the test of the page, in a terminal."""

import sys
from typing import Any

import click

from smtp_admin.cli.main import commands, known_partner, show_json
from smtp_admin.cli.terminal import console, show_outcome, show_step
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.connection.views import as_dict
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.settings.sender import load_sender

#: Whoever may run commands on the machine is recorded as this.
OPERATOR = Actor(id="operator", email="", name="operator", is_admin=True)


@commands.command(
    "test-connection",
    help="Test the saved settings step by step; no mail is sent.\n\n"
    "Example: flask smtp-admin test-connection --partner acme\n\n"
    "Exit status 0 if mail could be sent, else 1.",
)
@click.option("--partner", "partner_id", default=SYSTEM, help="The partner's id; the system's "
              "sender without it.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For a script.")
def test_connection_command(partner_id: str, as_json: bool) -> None:
    """Test the saved settings."""
    known_partner(partner_id)
    sender = load_sender(session(), partner_id)
    if not sender.configured:
        raise InvalidInput(
            "No settings are saved for this sender.",
            hint="Fill in its tab on the page, or run `flask smtp-admin wizard`.",
        )
    values = sender.values
    given: dict[str, Any] = {
        "host": values.host,
        "port": values.port,
        "security": values.security,
        "username": values.username,
        "from_email": values.from_email,
        "verify_tls": values.verify_tls,
    }
    result = test_connection(session(), partner_id, given, OPERATOR)
    if as_json:
        show_json(as_dict(result))
    else:
        show(result)
    sys.exit(0 if result.ok else 1)


def show(result: TestResult) -> None:
    """The steps, one a line, and what they amount to."""
    out = console()
    for step in result.report.steps:
        show_step(out, step)
    show_outcome(out, result)
