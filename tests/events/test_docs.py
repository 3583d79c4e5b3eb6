"""The page about webhooks says what the table of providers holds, and its code is accepted."""

import json
from pathlib import Path
from threading import Thread
from typing import Any, get_args
from wsgiref.simple_server import WSGIRequestHandler, make_server

from smtp_admin.events.event import Kind
from smtp_admin.events.sources import SOURCES
from smtp_admin.providers.catalogue import knowledge
from tests.events.hooking import STANDARD_SECRET, Hooked
from tests.test_docs import blocks, coded, rows, section

TEXT = (Path(__file__).parents[2] / "docs/webhooks.md").read_text("utf-8")


def test_the_table_of_providers() -> None:
    table = rows(section("docs/webhooks.md", "Providers"))
    assert [(row[0].partition(",")[0], coded(row[1])) for row in table] == [
        (one.label.partition(",")[0], [one.key]) for one in SOURCES.values()
    ]
    for row, one in zip(table, SOURCES.values(), strict=True):
        assert (row[2] == "the secret address") is (one.secret is None and not one.has_topic)
    headers = {one.own_id.header for one in knowledge().known if one.own_id}
    assert headers <= set(coded("".join(row[3] for row in table)))


def test_the_kinds_of_events() -> None:
    for kind in get_args(Kind):
        assert kind in TEXT


def test_the_example_of_signed_events_is_accepted(hooked: Hooked) -> None:
    """Over a real connection, as the page says it."""
    path = hooked.turn_on("generic", secret=STANDARD_SECRET)
    (code,) = (text for page, text in blocks("python") if page == "docs/webhooks.md")
    (event,) = (text for page, text in blocks("json") if page == "docs/webhooks.md")
    here: dict[str, Any] = {}
    exec(code, here)  # noqa: S102 - the page's own code

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_args: Any) -> None:
            pass

    with make_server("127.0.0.1", 0, hooked.host.app, handler_class=Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}{path}"
        assert here["post"](url, STANDARD_SECRET, event.encode()) == 200
        server.shutdown()
    (kept,) = hooked.events()
    assert (kept.kind, kept.bounce, kept.code) == ("bounced", "hard", "5.1.1")
    assert kept.recipient == json.loads(event)["recipient"]
