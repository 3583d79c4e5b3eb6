"""Mail that is posted to Mailgun's API."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smtp_admin.transports.base import Transport
from smtp_admin.transports.mailgun.driver import DRIVER
from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI, Posted, refusal
from tests.servers.provider_api import Call, Response
from tests.transports.contract.sink import Body, Sink, surroundings

_KEY = re.compile(rb'name="to"\r\n\r\nr(\d+)@')


class MailgunSink(Sink):
    """The API on loopback; it is told no envelope sender, because Mailgun uses its own."""

    driver = DRIVER
    can = frozenset({"refuse", "lose", "hang"})

    def __init__(self, api: MailgunAPI) -> None:
        self._api = api
        self._answers: dict[int, Response | str] = {}
        self._broken: set[int] = set()
        api.at = self._at
        api.answer = self._before

    def transport(self) -> Transport:
        values = {"mailgun_region": "eu", "mailgun_domain": DOMAIN}
        setup = DRIVER.read(values, {"mailgun_key": KEY})
        return DRIVER.open(setup, surroundings(endpoints={"mailgun": self._api.server.url}))

    def bodies(self) -> list[Body]:
        return [Body("", one.recipient, one.content) for one in self._api.posted]

    def forget(self) -> None:
        self._api.posted.clear()
        self._api.server.calls.clear()

    def break_at(self, key: int) -> None:
        self._broken.add(key)

    def mend(self) -> None:
        self._answers.clear()
        self._broken.clear()

    def refuse(self, key: int) -> None:
        self._answers[key] = refusal(400, "'to' parameter is not a valid address")

    def defer(self, key: int) -> None:
        self._answers[key] = refusal(500, "Internal Server Error")

    def lose_answer_to(self, key: int) -> None:
        self._answers[key] = "hang up"

    def hang_at(self, key: int) -> None:
        self._answers[key] = Response(hang=True)

    def wait_until_it_hangs(self) -> None:
        self._api.server.hangs.wait()

    def openings(self) -> int | None:
        return self._api.server.connections

    def _before(self, call: Call) -> Response | None:
        found = _KEY.search(call.body)
        return refusal(503, "down") if found and int(found[1]) in self._broken else None

    def _at(self, mail: Posted) -> Response | str | None:
        return self._answers.get(int(mail.recipient[1:].partition("@")[0]))


@contextmanager
def sink(_folder: Path) -> Iterator[Sink]:
    """An API of the test's own."""
    api = MailgunAPI()
    with api.server:
        yield MailgunSink(api)
