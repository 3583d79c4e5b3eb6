"""The other databases, for commands that ask them questions of their own."""

from tests.settings.conftest import mariadb, postgresql

__all__ = ["mariadb", "postgresql"]
