"""The journal in a real PostgreSQL: SQLite's promises, and what only a server can do."""

from pathlib import Path

import pytest

from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.postgres import PostgresSettings, build
from homeostat.testing.journal import check_journal

pytestmark = pytest.mark.live


def opened(url: str, folder: Path, **more: object) -> SqlJournal:
    settings = {"url": url, "anchor": folder / "anchor", "reserve_bytes": 65536}
    return build(PostgresSettings.model_validate(settings | more))


def test_it_keeps_the_promises_of_a_journal(database: str, tmp_path: Path) -> None:
    check_journal(lambda: opened(database, tmp_path))
