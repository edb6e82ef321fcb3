"""`homeostat lab learn`: a seat's schooling as a file that says how it was made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit

pytest.importorskip("jax")

from homeostat.cli import lab_files
from homeostat.lab import seat_training
from homeostat.lab.compose import unseen
from homeostat.lab.seat_file import taught
from homeostat.lab.seat_training import FIRST, SLOTS, Block
from homeostat.lab.types import Episode
from homeostat.twin.shapes import TICK_S

ARGUMENTS = ("lab", "learn", "bandit", "--compositions", "5", "--block", "2")


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Episode]]:
    """Replace the playing, and return what was to be played."""
    asked: list[Sequence[Episode]] = []

    def learn(_: str, episodes: Sequence[Episode], *, block: int, width: int) -> Iterator[Block]:
        assert block <= width
        asked.append(episodes)
        for done in range(block, len(episodes) + block, block):
            yield Block(min(done, len(episodes)), {"runbook": done, "hold": 1}, done, "")

    monkeypatch.setattr(seat_training, "learn", learn)
    return asked


@pytest.mark.slow
def test_it_writes_what_was_learnt_with_how_it_was_made(
    bare: Any, tmp_path: Path, lessons: list[Sequence[Episode]]
) -> None:
    out = tmp_path / "bandit.json"
    result = bare(*ARGUMENTS, "--out", str(out), "-o", "json")
    assert result.exit_code == Exit.OK, result.exception
    said = taught("bandit", {"bandit": out.read_bytes()}).said
    assert (
        said["made"]["command"] == "homeostat lab learn bandit --compositions 5 --block 2 --hours 2"
    )
    assert said["episodes"]["never"] == lab_files.catalogue(()).digest
    assert (said["played"], said["outcomes"]) == ({"runbook": 6, "hold": 1}, 6)
    (episodes,) = lessons
    assert len(episodes) == 5
    seeds = [one.seed for one in episodes]
    assert seeds == sorted(set(seeds))
    assert min(seeds) >= FIRST
    assert {(one.slots, one.length_s, one.tick_s) for one in episodes} == {(SLOTS, 7200, TICK_S)}
    known = lab_files.catalogue(()).scenarios
    assert not {one.scenario for one in episodes} & {one.id for one in known}
    assert episodes[0].scenario == unseen(seeds[0], known=known, length_s=7200).id


@pytest.mark.parametrize("name", ["homeostat", "ppo", "safe-canary", ""])
def test_what_has_no_seat_cannot_be_taught(bare: Any, tmp_path: Path, name: str) -> None:
    out = tmp_path / "seat.json"
    result = bare("lab", "learn", name, "--out", str(out))
    assert isinstance(result.exception, ConfigError)
    assert f"unknown policy with a seat {name!r}" in str(result.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--compositions", "0"),
        ("--compositions", "401"),
        ("--block", "51"),
        ("--hours", "0"),
        ("--block", "x"),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    bare: Any, tmp_path: Path, wrong: tuple[str, str]
) -> None:
    result = bare("lab", "learn", "bandit", "--out", str(tmp_path / "seat.json"), *wrong)
    assert result.exit_code == Exit.USAGE
