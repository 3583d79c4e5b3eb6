"""How Alembic runs our migrations: on the connection that it is given, on our tables only."""

from alembic import context

from smtp_admin.database import VERSION_TABLE, Base
from smtp_admin.schema import include_ours

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=include_ours,
    # SQLite changes a table by copying it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
