"""What a worker does with a shard: which plays the oracle starts from, what is judged by what."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeostat.cli import lab_plays, lab_work
from homeostat.cli.lab_work import Piece, play_shard
from homeostat.lab.shards import Shard, shards
from homeostat.testing.catalogue import scenario


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let episodes be their seeds, and plays the policy's name with the seeds that it played."""

    def kept(_: Path, shard: Shard, episodes: Sequence[int]) -> tuple[str, Sequence[int]]:
        return shard.policy, episodes

    monkeypatch.setattr(lab_work, "episodes_of", lambda shard, _: list(shard.seeds))
    monkeypatch.setattr(lab_work, "part_of", lambda play, rows: (play[0], play[1][rows]))
    monkeypatch.setattr(lab_plays, "hold_of", lambda *of: ("hold", kept(*of)[1]))
    monkeypatch.setattr(lab_plays, "other_of", kept)
    monkeypatch.setattr(lab_plays, "keep", lambda *_: None)
    monkeypatch.setattr(
        lab_work, "play", lambda shard, seeds, plays, _: (shard.policy, seeds, plays)
    )
    monkeypatch.setattr(lab_work, "result_of", lambda _, played, hold: (played, hold))
    monkeypatch.setattr(lab_work, "_give_back", lambda: None)


@pytest.mark.usefixtures("by_name")
def test_the_oracle_starts_from_its_own_rows_of_what_the_others_played(tmp_path: Path) -> None:
    long = replace(scenario("S07"), length_s=14400)
    pieces = shards([long], ["hpa", "oracle"], range(50))
    results: list[Any] = [
        play_shard(Piece(shard=one, recorded={}, folder=tmp_path))["result"] for one in pieces
    ]
    everybody = list(range(50))
    assert results[0] == (("hold", everybody),) * 2
    assert results[1] == (("hpa", everybody, {"hold": ("hold", everybody)}), ("hold", everybody))
    for piece, result in zip(pieces[2:], results[2:], strict=True):
        own = list(piece.seeds)
        assert result == (
            ("oracle", own, {"hold": ("hold", own), "hpa": ("hpa", own)}),
            ("hold", own),
        )
