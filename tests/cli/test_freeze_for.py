"""A freeze for a while is a file that the controller reads and that ends by itself."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from homeostat.base.errors import ConfigError
from homeostat.base.units import HOUR, MILLISECOND, SECOND, TimeNs
from homeostat.cli.main import app
from homeostat.server.config.loader import documents
from homeostat.server.config.oneoff import write_freeze

NOW = datetime(2026, 10, 25, 0, 30, 15, 123456, tzinfo=UTC)


def covers(file: Path, moment: datetime) -> bool:
    ((document, _),) = documents(file)
    covered: bool = document.spec.covers("m", TimeNs(round(moment.timestamp() * 1e6) * 1000))  # type: ignore[union-attr]
    return covered


def test_it_begins_at_once_and_ends_by_itself(tmp_path: Path) -> None:
    file = write_freeze(tmp_path, NOW, 2 * HOUR, why="deploy of the platform", by="anna")
    assert covers(file, NOW)
    assert covers(file, NOW + timedelta(hours=2))
    assert not covers(file, NOW + timedelta(hours=2, seconds=2))
    assert yaml.safe_load(file.read_text("utf-8"))["spec"]["reason"] == (
        "anna: deploy of the platform"
    )
    assert [one.suffix for one in tmp_path.iterdir()] == [".yaml"]


@given(length=st.integers(1, 31 * 24 * HOUR // MILLISECOND), fraction=st.integers(0, 999_999))
def test_it_is_never_shorter_than_asked(
    tmp_path_factory: pytest.TempPathFactory, length: int, fraction: int
) -> None:
    folder = tmp_path_factory.mktemp("conf")
    now = NOW.replace(microsecond=fraction)
    file = write_freeze(folder, now, length * MILLISECOND, why="", by="")
    end = now + timedelta(milliseconds=length)
    assert covers(file, now)
    assert covers(file, end - timedelta(microseconds=1))
    assert not covers(file, end + timedelta(seconds=2))


def test_words_stay_words(tmp_path: Path) -> None:
    file = write_freeze(tmp_path, NOW, SECOND, why="yes: 'no' # {off}\n- ä", by="on")
    ((document, _),) = documents(file)
    assert document.spec.reason == "on: yes: 'no' # {off}\n- ä"  # type: ignore[union-attr]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        write_freeze(tmp_path / "nowhere", NOW, HOUR, why="", by="")
    with pytest.raises(ConfigError, match="31 days"):
        write_freeze(tmp_path, NOW, 32 * 24 * HOUR, why="", by="")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it_and_refuses_half_of_it(tmp_path: Path) -> None:
    said = CliRunner().invoke(
        app, ["freeze", "--for", "2h", "--into", str(tmp_path), "--why", "fair", "--by", "anna"]
    )
    assert said.exit_code == 0, said.output
    (file,) = tmp_path.iterdir()
    assert covers(file, datetime.now(UTC))
    for half in (["--for", "2h"], ["--into", str(tmp_path)], ["--for", "x", "--into", "."]):
        assert CliRunner().invoke(app, ["freeze", *half]).exit_code == 2
    assert list(tmp_path.iterdir()) == [file]
