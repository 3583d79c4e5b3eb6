"""``renewals run|preview|import``, as a person and a script call them."""

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import Result

from smtp_admin.renewals import service
from tests.app import HostApp
from tests.delivery.workbench import Workbench, deliveries
from tests.renewals.office import Office
from tests.renewals.things import a_service
from tests.servers.scripted import ScriptedServer


@pytest.fixture
def office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """Acme with reminders on."""
    return Office(*host_with_bench, server)


def run(office: Office, *words: str, given: str | None = None) -> Result:
    runner = office.host.app.test_cli_runner()
    return runner.invoke(args=["smtp-admin", "renewals", *words], input=given)


def test_run_and_again(office: Office) -> None:
    office.have(3)
    office.have(3, customer_id="mute", customer_email="nobody")
    first = run(office, "run", "--partner", "acme")
    assert first.exit_code == 0
    assert "acme: 1 queued, 2 customers with 2 services looked at" in first.output
    assert "1  There is no valid mail address." in first.output
    again = json.loads(run(office, "run", "--json").stdout)
    assert again["acme"]["due"] == 0
    assert again["acme"]["skipped"] == {"waiting": 1, "no_address": 1}
    assert len(deliveries(office.host)) == 1


def test_run_names_what_failed_with_its_status(office: Office) -> None:
    office.have(3, service_name="=?x?=")
    result = run(office, "run")
    assert result.exit_code == 1
    assert "1  failed" in result.output


def test_run_while_nothing_is_on(office: Office) -> None:
    office.set(enabled=False)
    result = run(office, "run")
    assert (result.exit_code, result.output.startswith("Reminders are off.")) == (0, True)


def test_an_unknown_partner(office: Office) -> None:
    for words in (("run",), ("preview",), ("preview", "--customer", "c1"), ("import", "-")):
        result = run(office, *words, "--partner", "acne", given="{}")
        assert result.exit_code == 1
        assert "There is no partner 'acne'." in result.output


def test_preview_writes_nothing(office: Office) -> None:
    office.have(3)
    result = run(office, "preview")
    assert "acme: 1 due, 1 customers" in result.output
    assert not deliveries(office.host)


def test_preview_of_one_customer(office: Office) -> None:
    office.have(3)
    result = run(office, "preview", "--partner", "acme", "--customer", "c1")
    assert "c1@customer.example: A notice is due." in result.output
    assert "Hosting c1-0 expires on" in result.output
    found = json.loads(
        run(office, "preview", "--partner", "acme", "--customer", "c1", "--json").stdout
    )
    assert (found["customer_id"], found["reason"], len(found["notices"])) == ("c1", None, 2)
    missing = run(office, "preview", "--partner", "acme", "--customer", "nobody")
    assert missing.exit_code == 1
    assert "no service of customer 'nobody'" in missing.output


def test_import(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"renewal_notification_enabled": false, "smtp_port": 25, '
                    '"renewal_notification_min_period_hours": 72}')  # fmt: skip
    result = run(office, "import", str(file), "--partner", "acme")
    assert result.output == (
        "Saved: reminders are off, 72 hours between notices, 24 before one on demand.\n"
    )
    assert service.load(office.host.db.session(), "acme").values.min_hours == 72
    office.host.host.services.append(a_service())
    assert run(office, "run").output.startswith("Reminders are off.")


def test_import_of_no_file(office: Office) -> None:
    result = run(office, "import", "/nowhere/settings.json")
    assert result.exit_code == 1
    assert f"/nowhere/settings.json cannot be read: {os.strerror(errno.ENOENT)}" in result.output


@pytest.mark.parametrize(
    ("given", "words"),
    [("{", "not JSON"), ("[1]", "not a JSON object"), ("{}", "no renewal setting"),
     ('{"renewal_notification_min_period_hours": 0}', "renewal_notification_min_period_hours"),
     ("[" * 100_000, "not JSON")],
)  # fmt: skip
def test_import_of_something_else(office: Office, given: str, words: str) -> None:
    result = run(office, "import", "-", given=given)
    assert result.exit_code == 1
    assert words in result.output
