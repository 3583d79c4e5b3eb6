"""The three databases, mail servers and workbenches of the tests of delivery."""

from tests.delivery.conftest import (  # noqa: F401 - pytest finds fixtures by name
    bench_of,
    database,
    each,
    host_with_bench,
    mariadb,
    opened,
    postgresql,
    server,
    shared_database,
)
