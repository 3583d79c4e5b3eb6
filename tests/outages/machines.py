"""Network namespaces in place of machines, each on a cable of its own that can be cut."""

import contextlib
import ctypes
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.servers import Unavailable, find_program

__all__ = ["HUB", "NETWORK", "Machine", "two_machines"]

# Another for each run: one that was killed leaves its cables behind, and the way to an address that
# two cables claim leads nowhere.
_PREFIX = f"10.{128 + secrets.randbelow(128)}.{secrets.randbelow(256)}"
#: All addresses of the machines, and the hub's.
NETWORK = f"{_PREFIX}.0/24"
#: Where the servers listen; an address that belongs to no cable, so that none takes it down.
HUB = f"{_PREFIX}.1"
_NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET

Result = TypeVar("Result")


class Machine:
    """A machine that reaches nothing but the hub.

    Args:
        number: decides on its address.
    """

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._cable = f"{name}h"  # the hub's end; a name has at most fifteen letters
        self._gateway = f"{_PREFIX}.{4 * number + 1}"
        self.address = f"{_PREFIX}.{4 * number + 2}"
        self._thread = ThreadPoolExecutor(1, initializer=self._enter)

    def run(self, act: Callable[[], Result]) -> Result:
        """What *act* returns, called by a thread that is on this machine.

        So are the processes that it starts.
        """
        return self._thread.submit(act).result()

    def cut(self) -> None:
        """Nothing goes in or out any more, and nobody is told."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """The cable is whole again."""
        _ip("link", "set", self._cable, "up")

    def build(self) -> None:
        """Make it, and its cable."""
        far, here = f"{self._name}m", ("-n", self._name)
        _ip("netns", "add", self._name)
        _ip("link", "add", self._cable, "type", "veth", "peer", far, "netns", self._name)
        _ip("address", "add", f"{self._gateway}/30", "dev", self._cable)
        _ip("link", "set", self._cable, "up")
        _ip(*here, "address", "add", f"{self.address}/30", "dev", far)
        for device in ("lo", far):
            _ip(*here, "link", "set", device, "up")
        _ip(*here, "route", "add", HUB, "via", self._gateway)

    def remove(self) -> None:
        """Take away what there is of it."""
        self._thread.shutdown()
        for command in (("link", "delete", self._cable), ("netns", "delete", self._name)):
            with contextlib.suppress(RuntimeError):
                _ip(*command)

    def _enter(self) -> None:
        # Python has no setns before 3.12.
        library = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", self._name).open() as handle:
            if library.setns(handle.fileno(), _NETWORK_NAMESPACE):
                raise OSError(ctypes.get_errno(), "setns failed")


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Two of them, and the hub's address; all gone at the end.

    Raises:
        Unavailable: there are no network namespaces here, or only for root.
    """
    if find_program("ip") is None or os.geteuid() != 0:
        raise Unavailable("Two machines need root, and Debian's iproute2.")
    mark = secrets.token_hex(3)
    machines = Machine(f"away{mark}1", 1), Machine(f"away{mark}2", 2)
    with contextlib.ExitStack() as stack:
        for machine in machines:
            stack.callback(machine.remove)
            try:
                machine.build()
            except RuntimeError as error:
                raise Unavailable(f"No network namespaces can be made here: {error}") from error
        _ip("address", "replace", f"{HUB}/32", "dev", "lo")
        stack.callback(_ip, "address", "delete", f"{HUB}/32", "dev", "lo")
        yield machines


def _ip(*command: str) -> None:
    program = find_program("ip") or Path("ip")
    done = subprocess.run([program, *command], capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(command)}: {done.stderr.decode().strip()}")
