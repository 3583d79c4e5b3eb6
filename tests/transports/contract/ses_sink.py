"""Mail that is posted to the API of Amazon SES, with keys and by the machine's role."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from smtp_admin.transports.base import Transport
from smtp_admin.transports.ses import driver
from smtp_admin.transports.ses.signing import _MACHINE
from tests.servers.provider_api import Call, Response
from tests.servers.ses import KEY_ID, REGION, SECRET, SESAPI, PostedToSES, error
from tests.transports.contract.sink import Body, Sink, surroundings

_KEY = re.compile(rb'"ToAddresses": \["r(\d+)@')


class SESSink(Sink):
    """The API on loopback, which checks each signature."""

    driver = driver.DRIVER

    def __init__(self, api: SESAPI, *, by_role: bool = False) -> None:
        self._api = api
        self._by_role = by_role
        self._answers: dict[int, Response | str] = {}
        self._broken: set[int] = set()
        api.at = self._at
        api.answer = self._before

    def transport(self) -> Transport:
        values = {"ses_region": REGION, "ses_configuration_set": "", "ses_key_id": KEY_ID}
        kind = driver.OF_MACHINE if self._by_role else driver.DRIVER
        setup = kind.read(values, {"ses_secret": SECRET})
        return kind.open(setup, surroundings(endpoints={"ses": self._api.server.url}))

    def bodies(self) -> list[Body]:
        return [Body(one.feedback_to, one.recipient, one.content) for one in self._api.posted]

    def forget(self) -> None:
        self._api.posted.clear()
        self._api.server.calls.clear()

    def break_at(self, key: int) -> None:
        self._broken.add(key)

    def mend(self) -> None:
        self._answers.clear()
        self._broken.clear()

    def refuse(self, key: int) -> None:
        self._answers[key] = error("MessageRejected", "Address blacklisted.")

    def defer(self, key: int) -> None:
        self._answers[key] = error("InternalFailure", "Internal failure", 500)

    def lose_answer_to(self, key: int) -> None:
        self._answers[key] = "hang up"

    def hang_at(self, key: int) -> None:
        self._answers[key] = Response(hang=True)

    def wait_until_it_hangs(self) -> None:
        self._api.server.hangs.wait()

    def openings(self) -> int | None:
        return self._api.server.connections

    def _before(self, call: Call) -> Response | None:
        found = _KEY.search(call.body[:200])
        broken = found and int(found[1]) in self._broken
        return error("ServiceUnavailable", "down", 503) if broken else None

    def _at(self, mail: PostedToSES) -> Response | str | None:
        return self._answers.get(int(mail.recipient[1:].partition("@")[0]))


def sink(*, by_role: bool) -> Callable[[Path], AbstractContextManager[Sink]]:
    """An API of the test's own, and for the role a machine that has one."""

    @contextmanager
    def running(_folder: Path) -> Iterator[Sink]:
        api = SESAPI(token="a token of the role" if by_role else "")
        with api.server, pytest.MonkeyPatch.context() as patch:
            if by_role:
                patch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
                patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
                patch.setenv("AWS_SESSION_TOKEN", api.token)
            _MACHINE.forget()
            yield SESSink(api, by_role=by_role)
        _MACHINE.forget()

    return running
