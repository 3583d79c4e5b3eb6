"""What is looked at on a page, in each size and colour scheme, and what is listened to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from zlib import crc32

from tests.servers.chromium import accessibility

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

__all__ = ["ALL_LOOKS", "TWO_LOOKS", "Listener", "Look", "inspect", "new_context", "sign_in"]

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
Look = tuple[str, Literal["light", "dark"]]
ALL_LOOKS: tuple[Look, ...] = (
    ("phone", "light"),
    ("phone", "dark"),
    ("desktop", "light"),
    ("desktop", "dark"),
)
#: For a page that only differs in its words from one that is seen in all looks.
TWO_LOOKS: tuple[Look, ...] = (("phone", "dark"), ("desktop", "light"))
_LONG = bool(os.environ.get("SMTP_ADMIN_TEST_LONG"))
PATIENCE = 40_000

# Console lines that are no mistake: the browser notes every answer of 400 and above, and that our
# own listener (the script below) may not run inside the sandbox that shows a mail.
STATUS_NOTICE = "Failed to load resource: the server responded with a status of 4"
SANDBOX_NOTICE = "because the document's frame is sandboxed and the 'allow-scripts' permission"

# The elements that reach over the edge, if that makes the page scroll.
TOO_WIDE = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > clientWidth + 1)
    .map((one) => `${one.localName}.${one.className}`)
    .slice(0, 5)
    .concat(`${scrollWidth} px`);
}"""
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Listener:
    """Collects what a page complains about, from its first request on.

    Args:
        sites: where it may send requests to.
    """

    def __init__(self, page: Page, *sites: str) -> None:
        self.complaints: list[str] = []
        self._sites = (*(f"{one}/" for one in sites), "data:")
        page.add_init_script(REPORT_VIOLATIONS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        address = urlsplit(message.location["url"])
        if message.type not in {"error", "warning"} or SANDBOX_NOTICE in message.text:
            return
        if message.text.startswith(STATUS_NOTICE) and "/static/" not in address.path:
            return
        self.complaints.append(f"console: {message.text} ({message.location['url']})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self._sites):
            self.complaints.append(f"request to somebody else: {request.url}")

    def _failed(self, request: Request) -> None:
        # A page that is left breaks off what it was asking for.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"request failed: {request.url} {request.failure}")


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """A person's browser: desktop size, short waits."""
    width, height = SIZES["desktop"]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(PATIENCE)
    return context


def sign_in(page: Page, site: str, email: str) -> None:
    """Sign in by the form."""
    page.goto(f"{site}/sign-in")
    page.fill("#email", email)
    page.fill("#password", "demo-demo")
    page.press("#password", "Enter")
    page.wait_for_url(f"{site}/")


def inspect(page: Page, name: str, looks: tuple[Look, ...] = ALL_LOOKS) -> list[str]:
    """Everything that is wrong with the page as it stands; a picture is kept of what is wrong.

    In a long run in all of *looks*, with a picture of each. Else in the two that differ most, and
    a page that only differs in its words in the first of these alone. What takes most of the time
    is to examine colours and names: then this is done in one of the two, by turns, and colours are
    left out of what only differs in its words.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    seen = looks if _LONG else TWO_LOOKS if looks == ALL_LOOKS else TWO_LOOKS[:1]
    examined = seen if _LONG else (seen[crc32(name.encode()) % len(seen)],)
    with accessibility(page, colours=_LONG or looks == ALL_LOOKS) as violations:
        for size, scheme in seen:
            before = len(found)
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            if wide := page.evaluate(TOO_WIDE):
                found.append(f"{size}: the page scrolls sideways because of {wide}")
            wrong = violations() if (size, scheme) in examined else []
            if wrong:
                # A colour scheme that has just changed may be half painted: what is wrong stays.
                page.wait_for_timeout(300)
                wrong = violations()
            found += [f"{size} {scheme}: {each}" for each in wrong]
            if _LONG or len(found) > before:
                picture = SCREENSHOTS / f"{name}-{size}-{scheme}.png"
                page.screenshot(path=picture, full_page=True)
    return found
