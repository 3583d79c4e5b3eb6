"""Requests made from the API's own description by schemathesis: what was asked, what was wrong."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from werkzeug.serving import make_server

from tests.app import HostApp

from .conftest import API

#: What every check of schemathesis is called; a run that left one out would say less.
CHECKS = frozenset({
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance", "positive_data_acceptance",
    "negative_data_rejection", "use_after_free", "ensure_resource_availability",
    "missing_required_header", "ignored_auth", "object_level_authorization", "unsupported_method",
    "allow_header_conformance", "refused_only_for_its_sense",
})  # fmt: skip
#: Fields whose values make sense only with others, or with what this app has. Everything else that
#: the description allows has to be taken.
_SENSE = {
    "queue": {"type", "context", "language", "sender", "send_at", "expires_at", "digest"},
    "batch": {"type", "recipients", "sender", "send_at", "expires_at"},
}


@schemathesis.check
def refused_only_for_its_sense(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """What the description allows is refused for nothing but what no description can tell."""
    mode = case.meta.generation.mode if case.meta else None
    if mode is not GenerationMode.POSITIVE or response.status_code != 400:
        return
    name = case.operation.definition.raw["operationId"]
    if name == "connection_test":  # the answer of a test that failed
        return
    wrong = response.json()["error"]["fields"]
    assert wrong, response.text
    assert wrong.keys() <= _SENSE.get(name, set()), response.text


@dataclass
class Asked:
    """What came of a run.

    Attributes:
        cases: requests that were made.
        answers: operation and status → how often.
        checks: those that were made, with how often.
        wrong: each failure, in words.
    """

    cases: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def statuses(self) -> set[int]:
        """Those that were answered."""
        return {status for _, status in self.answers}

    def note(self, event: events.ScenarioFinished) -> None:
        """Add what one scenario found."""
        recorder = event.recorder
        for name, one in recorder.interactions.items():
            if one.response is None:
                continue
            self.cases += 1
            status, label = one.response.status_code, recorder.cases[name].value.operation.label
            self.answers[label, status] += 1
            for check in recorder.checks.get(name, ()):
                self.checks[check.name] += 1
                if (found := check.failure_info) is not None:
                    self.wrong.append(
                        f"{check.name}: {found.failure.title}: {found.failure.message}\n"
                        f"  {found.code_sample}\n  {status} {one.response.text[:500]}"
                    )


@contextmanager
def served(site: HostApp) -> Iterator[str]:
    """The app on a port of its own; the address of its API."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = Thread(target=server.serve_forever, name="web")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{API}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask_everything(
    address: str, login: Mapping[str, Any], *, examples: int, seed: int = 1, **phases: Any
) -> Asked:
    """Ask each operation so often in each phase, with every check that there is.

    Args:
        login: the name of a security scheme of the description → its secret.
    """
    config: dict[str, Any] = {
        "seed": seed,
        "continue-on-failure": True,
        "auth": {"openapi": login} if login else {},
        "generation": {
            "mode": "all",
            "max-examples": examples,
            "no-shrink": True,
            "deterministic": True,
            "database": "none",
        },
        "checks": {
            "positive_data_acceptance": {
                # `refused_only_for_its_sense` looks more closely.
                "expected-statuses": ["2xx", "400", "401", "403", "404", "409", "429"]
            },
        },
        "phases": phases,
    }
    schema = schemathesis.openapi.from_url(
        f"{address}/openapi.json", config=SchemathesisConfig.from_dict(config)
    )
    found = Asked()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            found.wrong.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            found.wrong.append(repr(event.exception))
        elif isinstance(event, events.ScenarioFinished):
            found.note(event)
    return found
