"""Settings tried against a real server, and the first cause that is named for what comes of it."""

from ipaddress import ip_network
from pathlib import Path

from smtp_admin.connection.probe import TestResult, probe
from smtp_admin.diagnosis.diagnose import of_failure
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler, Security
from smtp_admin.transports.driver import Surroundings
from tests.setups import request_for

__all__ = ["FROM", "LOGIN", "PASSWORD", "try_settings"]

LOGIN, PASSWORD = "mia@acme.example", "pässword-canary-4711"
FROM = "news@acme.example"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def try_settings(
    port: int,
    ca_file: Path | None,
    *,
    security: Security = "tls",
    password: str = PASSWORD,
    from_email: str = FROM,
    host: str = "localhost",
    username: str = LOGIN,
    seconds: float = 5.0,
    explained_for: int | None = None,
) -> tuple[TestResult, str]:
    """The result, and the key of the first cause; that is empty if there was no failure.

    Args:
        ca_file: the authority that is trusted beside the system's.
        explained_for: the port that the server would listen on in the field.
    """
    tested = request_for(
        host=host, port=port, security=security, username=username, password=password,
        from_email=from_email,
    )  # fmt: skip
    dialler = Dialler(
        DiallingPolicy(frozenset({port}), LOOPBACK), Timeouts(), ca_file, "app.example"
    )
    result = probe(tested, Surroundings(dialler, replies()), seconds)
    if result.failure is None:
        return result, ""
    found = of_failure(result.failure, tested.values.replace(port=explained_for or port))
    assert PASSWORD not in f"{found!r} {result.failure} {result.failure.hint}"
    return result, found.causes[0].key
