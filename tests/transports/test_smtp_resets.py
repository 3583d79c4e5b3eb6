"""A server that breaks off the moment it is reached: at whatever instant, the same failure."""

import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from smtp_admin.credentials.none import NoLogin
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler, Server, open_session

LINGER_ZERO = struct.pack("ii", 1, 0)


@pytest.fixture
def resetting() -> Iterator[int]:
    """The port of a server that answers each connection with a reset, as fast as it can."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset_all() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
                    accepted.close()

        server = threading.Thread(target=reset_all)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


def test_reset_at_any_instant(resetting: int) -> None:
    """While connecting, before the first word, before ours: it is a server, and it hung up.

    Many tries, because each instant has an error of its own in the kernel.
    """
    loopback = [ipaddress.ip_network("127.0.0.0/8")]
    dialler = Dialler(
        DiallingPolicy(frozenset({resetting}), loopback), Timeouts(connect=2, command=2)
    )
    for _ in range(300):
        report = Report()
        with pytest.raises(SMTPFailure) as caught:
            open_session(Server("127.0.0.1", resetting, "none"), NoLogin(), dialler, report=report)
        assert caught.value.code == "connection_lost", str(caught.value)
        assert [step.status for step in report.steps][-1] == "failed"
