"""Host apps on each database, as the tests of deliveries have them."""

from tests.delivery.conftest import bench_of, database, each, opened, server, shared_database

__all__ = ["bench_of", "database", "each", "opened", "server", "shared_database"]
