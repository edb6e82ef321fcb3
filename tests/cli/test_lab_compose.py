"""`homeostat lab compose`: what nobody wrote is a file like any other."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_compose, lab_files
from homeostat.cli.exits import Exit
from homeostat.lab import scenario_text
from homeostat.lab.scenario_schema import load

read = lab_files.catalogue


@cache
def shipped() -> lab_files.Catalogue:
    return read(())


@pytest.fixture(autouse=True)
def shipped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the shipped scenarios once for all of these tests."""

    def catalogue(paths: Sequence[Path]) -> lab_files.Catalogue:
        return read(paths) if paths else shipped()

    monkeypatch.setattr(lab_files, "catalogue", catalogue)


def test_compositions_and_pairs_are_written_as_a_file_that_the_lab_reads(
    bare: Any, tmp_path: Path
) -> None:
    out = tmp_path / "unseen.yaml"
    asked = ("lab", "compose", "--unseen", "3", "--pairs", "2", "--seed", "4", "-o", "json")
    done = bare(*asked, "--out", str(out))
    assert done.exit_code == Exit.OK, done.output
    rows = json.loads(done.stdout)
    found = {one.id: one for one in load(out.read_bytes(), out.name)}
    assert [row["id"] for row in rows] == sorted(found)
    assert {"U40000", "U40001", "U40002"} < set(found)
    assert sum(one.name.startswith("unseen_") for one in found.values()) == 3
    assert sum("+" in name for name in found) == 2


def test_a_seed_composes_the_same_text_and_another_one_shares_nothing_with_it() -> None:
    def text(seed: int) -> str:
        return lab_compose.text(unseen=4, pairs=0, most=3, seed=seed, file="u.yaml")

    assert text(1) == text(1)
    ours, theirs = (
        {fault for one in load(text(seed), "u.yaml") for fault in one.faults} for seed in (1, 2)
    )
    assert not ours & theirs


@pytest.mark.parametrize("asked", [("--unseen", "0"), ("--most", "4"), ("--unseen", "-1")])
def test_what_cannot_be_composed_writes_nothing(
    bare: Any, tmp_path: Path, asked: tuple[str, str]
) -> None:
    out = tmp_path / "unseen.yaml"
    assert bare("lab", "compose", *asked, "--out", str(out)).exit_code == Exit.USAGE
    assert not out.exists()


def test_more_than_there_is_or_than_a_file_holds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="ask for fewer"):
        lab_compose.text(unseen=0, pairs=10_000, most=3, seed=0, file="u.yaml")
    monkeypatch.setattr(scenario_text, "MAX_NODES", 100)
    with pytest.raises(ConfigError, match=r"u\.yaml:\d+: more than 100 values; split the file"):
        lab_compose.text(unseen=5, pairs=0, most=3, seed=0, file="u.yaml")
