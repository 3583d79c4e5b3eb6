"""The report of a connection test says what a provider's support needs, and nothing secret."""

from datetime import UTC, datetime

from smtp_admin.connection.copy_report import report_text
from smtp_admin.connection.from_worker import BothTests
from tests.connection.trying import LOOPBACK, try_connection
from tests.servers.scripted import ScriptedServer

LOGIN, PASSWORD = "login@acme.example", "wörd-of-the-server"
NOON = datetime(2026, 11, 28, 12, 0, 5, tzinfo=UTC)
