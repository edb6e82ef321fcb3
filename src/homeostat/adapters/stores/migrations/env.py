"""Runs the migrations on the connection that `migrate.upgrade` hands over; has no settings."""

from alembic import context

from homeostat.adapters.stores.schema import METADATA


def run() -> None:
    """Migrate inside the caller's transaction."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # alembic runs this file; others (doctest) only import it
    run()
