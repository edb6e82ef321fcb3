"""Alembic's scripts: every shape the journal's tables have had, in order."""
