"""The only functions that a worker runs, and the job class that refuses every other.

Somebody who can write to Redis can name any function in a job; RQ's JSON serializer does not
prevent that. Here a name that is not in the list is never imported.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from rq.exceptions import NoSuchJobError
from rq.job import Job

from smtp_admin.delivery.doorbell import EVENTS_FUNCTION, RING_FUNCTION, TEST_FUNCTION

_listeners: list[Callable[[], None]] = []
_testers: list[Callable[[int], None]] = []
_appliers: list[Callable[[], None]] = []


#: Bytes; a bell has about a hundred.
_LARGEST = 64 * 1024


def _is_large(value: bytes) -> bool:
    """Whether a field of a job is larger than :data:`_LARGEST`, or would be once unpacked."""
    if len(value) > _LARGEST:
        return True
    try:
        return len(zlib.decompressobj().decompress(value, _LARGEST + 1)) > _LARGEST
    except zlib.error:
        return False  # it is not packed


class RefusedJob(Exception):
    """A job that we did not make."""


def ring(*named: object) -> None:
    """A bell: senders that are named beside it have something to do."""
    if named:
        raise RefusedJob("a bell brings nothing along")
    for listener in _listeners:
        listener()


def test_connection(test_id: int) -> None:
    """A call: somebody waits for this connection test."""
    if isinstance(test_id, bool) or not isinstance(test_id, int):
        raise RefusedJob("a connection test is named by number")
    for tester in _testers:
        tester(test_id)


test_connection.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def apply_events(*named: object) -> None:
    """A call: events of providers wait to be applied."""
    if named:
        raise RefusedJob("a call for events brings nothing along")
    for applier in _appliers:
        applier()


def listen(
    listener: Callable[[], None],
    tester: Callable[[int], None] = lambda _: None,
    applier: Callable[[], None] = lambda: None,
) -> None:
    """Let *listener* hear the bells of this process, and nobody else any longer.

    Args:
        tester: told the connection tests that are asked for.
        applier: told that events wait.
    """
    _listeners[:] = [listener]
    _testers[:] = [tester]
    _appliers[:] = [applier]


_TAKES: dict[str, list[type]] = {RING_FUNCTION: [], TEST_FUNCTION: [int], EVENTS_FUNCTION: []}
_FUNCTIONS: dict[str, Callable[..., None]] = {
    RING_FUNCTION: ring,
    TEST_FUNCTION: test_connection,
    EVENTS_FUNCTION: apply_events,
}


class SafeJob(Job):
    """A job that runs nothing but the functions of this module that are named in its table."""

    def restore(self, raw_data: Mapping[Any, Any]) -> Any:
        """Take over what Redis holds of the job, if it is no larger than one of ours can be.

        RQ would unpack whatever is there: a few kilobytes can become gigabytes.

        Raises:
            NoSuchJobError: it is larger, or none.
        """
        if any(_is_large(value) for value in raw_data.values()):
            raise NoSuchJobError("a job that is larger than any of ours was left alone")
        return super().restore(raw_data)

    @property
    def is_bell(self) -> bool:
        """Whether it is one that we made, or looks exactly like it.

        Raises:
            DeserializationError: its data is no JSON, or not what RQ makes of a job.
        """
        if self.func_name not in _FUNCTIONS or self.instance is not None or self.kwargs:
            return False
        return [type(one) for one in self.args] == _TAKES[self.func_name]

    @property
    def func(self) -> Callable[..., Any]:
        """The function, if it is one that we run."""
        found = _FUNCTIONS.get(self.func_name or "") if self.instance is None else None
        if found is None:
            raise RefusedJob("a job that this worker does not run was refused")
        return found

    def execute_success_callback(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: callbacks are names too."""

    def execute_failure_callback(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: callbacks are names too."""

    def execute_stopped_callback(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: callbacks are names too."""

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: a job does not make this machine call an address."""
