"""Headless Chromium for the tests, and the accessibility check that runs in it."""

import importlib.resources
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from . import Unavailable, find_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

__all__ = ["accessibility", "axe_violations", "browser", "find_chromium"]

PROGRAMS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # One process shows all pages that are open: it has compiled their scripts, and axe, already.
    "--renderer-process-limit=1",
    "--disable-site-isolation-trials",
)
RUN_AXE = """axe.run(document, {
  resultTypes: ['violations'], iframes: false, rules: {'color-contrast': {enabled: COLOURS}}
}).then(JSON.stringify)"""
PLACES_SHOWN = 5
#: What a person does that may lead to another page.
ACTS = ("click", "press", "check", "uncheck", "select_option")


def find_chromium() -> Path:
    """Return the installed Chromium or Chrome.

    Playwright's own download is not looked for: the tests must not depend on fetching a browser.
    """
    program = find_program(*PROGRAMS)
    if program is None:
        raise Unavailable(
            "Chromium is missing: install Debian's chromium-headless-shell (or chromium).",
            "chromium-headless-shell",
            "fonts-dejavu-core",
        )
    return program


@contextmanager
def browser() -> Iterator["Browser"]:
    """Run a headless browser that talks to nobody by itself.

    An act that leads to another page returns when that page is there, its scripts included: by
    itself Playwright goes on when the page begins to arrive, and a fast machine is then ahead of
    the scripts. Its synchronous interface must be used in the thread that opened it.
    """
    try:
        # Optional and slow to import.
        from playwright.sync_api import Locator, Page, sync_playwright
    except ImportError as error:
        raise Unavailable("Install the Python package playwright to test in a browser.") from error
    program = find_chromium()
    with ExitStack() as stack:
        for each in (Page, Locator):
            for name in ACTS:
                stack.enter_context(patch.object(each, name, _loaded_after(getattr(each, name))))
        playwright = stack.enter_context(sync_playwright())
        running = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield running
        finally:
            running.close()


def _loaded_after(act: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(act)
    def done(where: Any, *args: Any, **kwargs: Any) -> Any:
        result = act(where, *args, **kwargs)
        page: Page = getattr(where, "page", where)  # a locator's, or the page itself
        page.wait_for_load_state("load")
        return result

    return done


def axe_violations(page: "Page") -> list[str]:
    """Return what axe-core finds wrong with the page, empty if nothing."""
    with accessibility(page) as violations:
        return violations()


@contextmanager
def accessibility(page: "Page", *, colours: bool = True) -> Iterator[Callable[[], list[str]]]:
    """What to call for each state of the document that is open: it returns what axe-core finds.

    It runs in a JavaScript world of its own, which the page's Content-Security-Policy does not
    reach and which leaves no trace in the page. Frames inside the page are not examined.

    Args:
        colours: whether contrasts are measured too, which takes half of the time.
    """
    session = page.context.new_cdp_session(page)
    try:
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
        context = world["executionContextId"]
        _evaluate(session, context, _axe_source() + ";undefined")
        run = RUN_AXE.replace("COLOURS", "true" if colours else "false")

        def violations() -> list[str]:
            result = json.loads(_evaluate(session, context, run))
            return [_described(violation) for violation in result["violations"]]

        yield violations
    finally:
        session.detach()


def _axe_source() -> str:
    try:
        package = importlib.resources.files("axe_playwright_python")
    except ModuleNotFoundError as error:
        raise Unavailable("Install the Python package axe-playwright-python.") from error
    return package.joinpath("axe.min.js").read_text("utf-8")


def _evaluate(session: "CDPSession", context: int, expression: str) -> Any:
    answer = session.send(
        "Runtime.evaluate",
        {
            "expression": expression,
            "contextId": context,
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    if failure := answer.get("exceptionDetails"):
        raise RuntimeError(f"The accessibility check failed in the page: {failure}")
    return answer["result"].get("value")


def _described(violation: dict[str, Any]) -> str:
    places = [str(target) for node in violation["nodes"] for target in node["target"]]
    more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
    shown = ", ".join(places[:PLACES_SHOWN])
    return f"{violation['id']} ({violation['impact']}): {violation['help']} – {shown}{more}"
