"""Somebody who visits a web site without a browser: cookies, forms and what they answered."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

__all__ = ["Answer", "Form", "Visitor", "wait_until"]

SECONDS = 40
Found = TypeVar("Found")


@dataclass
class Form:
    """A form as it stands on a page, with what a browser would send."""

    action: str = ""
    values: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects forms, links and words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.files: list[str] = []
        self.words: list[str] = []
        self._form: Form | None = None
        self._select = ""
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""))
            self.forms.append(self._form)
        elif tag == "a":
            self._href = given.get("href", "")
        elif tag == "link" and given.get("rel") == "stylesheet":
            self.files.append(given["href"])
        elif tag == "script" and "src" in given:
            self.files.append(given["src"])
        elif self._form is not None and "disabled" not in given:
            self._control(self._form, tag, given)

    def _control(self, form: Form, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in form.values:
                form.values[self._select] = given.get("value", "")
        elif tag == "input" and name:
            if given.get("type") not in {"checkbox", "radio"}:
                form.values[name] = given.get("value", "")
            elif "checked" in given:
                form.values[name] = given.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "a":
            self._href = None

    def handle_data(self, data: str) -> None:
        if words := data.strip():
            self.words.append(words)
            if self._href is not None:
                self.links.append((words, self._href))


@dataclass
class Answer:
    """What came back, after all redirects."""

    url: str
    status: int
    headers: Message
    body: bytes

    @property
    def html(self) -> str:
        """The page as it was sent."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The JSON of it."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The words that a person reads."""
        return " ".join(" ".join(self._read().words).split())

    @property
    def links(self) -> list[tuple[str, str]]:
        """Each link's words and address."""
        return self._read().links

    @property
    def files(self) -> list[str]:
        """The addresses of its stylesheets and scripts."""
        return self._read().files

    def form(self, *names: str) -> Form:
        """The form that has fields of these names."""
        found = [one for one in self._read().forms if set(names) <= one.values.keys()]
        assert found, f"{self.url} ({self.status}) has no form with {names}: {self.text[:500]}"
        return found[0]

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader


class Visitor:
    """Keeps cookies and follows redirects, like a browser without scripts."""

    def __init__(self, site: str) -> None:
        self.site = site
        # No proxy: the sites are on this machine, whatever the environment says.
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()))

    def get(self, path: str, accept: str = "text/html") -> Answer:
        """Fetch a page or file."""
        return self._open(Request(self._url(path), headers={"Accept": accept}))

    def post(self, path: str, values: Mapping[str, str]) -> Answer:
        """Send a form's fields, exactly these."""
        body = urlencode(values).encode()
        return self._open(Request(self._url(path), body, {"Accept": "text/html"}))

    def post_json(self, path: str, value: Any, token: str = "") -> Answer:
        """Send JSON."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["X-CSRFToken"] = token
        return self._open(Request(self._url(path), json.dumps(value).encode(), headers))

    def submit(self, page: Answer, changes: Mapping[str, str], action: str = "") -> Answer:
        """Fill in the form on *page* that has all the fields of *changes*, and send it."""
        form = page.form(*changes)
        url = urljoin(page.url, action or form.action or page.url)
        return self.post(url, form.values | dict(changes))

    def _url(self, path: str) -> str:
        return path if urlsplit(path).scheme else self.site + path

    def _open(self, request: Request) -> Answer:
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return Answer(answer.url, answer.status, answer.headers, answer.read())
        except HTTPError as error:
            with error:
                return Answer(error.url, error.code, error.headers, error.read())


def wait_until(what: Callable[[], Found | None], seconds: float = SECONDS) -> Found:
    """Ask again and again until there is an answer, and return it."""
    deadline = time.monotonic() + seconds
    while (asked := time.monotonic()) < deadline:
        with contextlib.suppress(URLError, ConnectionError):
            if found := what():
                return found
        time.sleep(min(max(0.05, 4 * (time.monotonic() - asked)), 0.5))
    raise AssertionError(f"Nothing came within {seconds} seconds.")
