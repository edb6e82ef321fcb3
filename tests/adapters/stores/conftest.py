"""A real PostgreSQL for the tests of its journal, one server for all of a run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from postgres_server import Server, running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Yield a server that is running; a test that stops it starts it again."""
    with running() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed: on Debian, apt-get install postgresql")
        yield server


@pytest.fixture
def database(postgres_server: Server) -> str:
    """Return the URL of an empty database."""
    return postgres_server.database()
