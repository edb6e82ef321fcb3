"""Runs the migrations on the connection that `migrate.upgrade` hands over; has no settings."""

from alembic import context

from homeostat.adapters.stores.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
