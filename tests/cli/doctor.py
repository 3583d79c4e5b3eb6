"""Calls ``doctor`` as cron and scripts do, and reads what it says."""

import json

from click.testing import Result

from tests.app import HostApp

__all__ = ["PASSWORD", "look", "only", "run", "statuses"]

PASSWORD = "Geheim-im-Händler-9f3b"


def run(host: HostApp, *words: str) -> Result:
    """Call it as cron would; nothing but an exit status may come out."""
    result = host.app.test_cli_runner().invoke(args=["smtp-admin", "doctor", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    assert PASSWORD not in result.output
    return result


def look(host: HostApp) -> dict[str, list[dict[str, str]]]:
    """Its answer as JSON, by the name of the check."""
    answer = json.loads(run(host, "--json").stdout)
    found: dict[str, list[dict[str, str]]] = {}
    for one in answer["checks"]:
        found.setdefault(one["name"], []).append(one)
    statuses = [one["status"] for one in answer["checks"]]
    worst = next((bad for bad in ("failed", "warning") if bad in statuses), "ok")
    assert (answer["status"], answer["ok"]) == (worst, worst != "failed")
    return found


def only(host: HostApp, name: str) -> dict[str, str]:
    """The one check with this name."""
    (one,) = look(host)[name]
    return one


def statuses(host: HostApp) -> dict[str, str]:
    """The status of each, where several share a name the last one's."""
    return {name: some[-1]["status"] for name, some in look(host).items()}
