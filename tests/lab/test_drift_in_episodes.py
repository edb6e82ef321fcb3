"""Tests of histograms in whole episodes: silent where nothing moves, and told where it does."""

import time
from dataclasses import replace
from importlib import resources
from typing import Any, Final

import pytest

from homeostat.base.evidence import Evidence
from homeostat.lab.controller import Controller
from homeostat.lab.draw import draw
from homeostat.lab.run import world_of
from homeostat.lab.scenario_schema import load
from homeostat.loop import sense

SLOTS: Final = 16
EPISODES: Final = 16
LENGTH_S: Final = 3600
# A throttled processor and a flash crowd move neither inputs nor answers; a season moves both.
CASES: Final = [("infrastructure", "S01", 0, 0), ("load", "S07", 0, 0), ("data", "S22", 8, 16)]


class Watched:
    """`sense.step`, with what it said and how long it took, seconds of processor time."""

    def __init__(self) -> None:
        self.said: list[tuple[Evidence, ...]] = []
        self.took_s = 0.0
        self._step = sense.step

    def __call__(self, *given: Any) -> Any:
        began = time.process_time()
        out = self._step(*given)
        self.took_s += time.process_time() - began
        self.said.append(out[2])
        return out


@pytest.mark.long
@pytest.mark.parametrize(("name", "ident", "least", "most"), CASES)
def test_a_test_speaks_where_inputs_or_answers_move_and_nowhere_else(
    name: str, ident: str, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (resources.files("homeostat.lab") / "catalogue" / f"{name}.yaml").read_text()
    case = next(one for one in load(text, f"{name}.yaml") if one.id == ident)
    many = [replace(draw(case, seed, slots=SLOTS), length_s=LENGTH_S) for seed in range(EPISODES)]
    watched = Watched()
    monkeypatch.setattr(sense, "step", watched)
    world_of(SLOTS, EPISODES).play(Controller(), many)
    moved = {one.deployment for every in watched.said for one in every
             if any(test.moved for test in one.drifts)}  # fmt: skip
    ms = 1e3 * watched.took_s / (EPISODES * len(watched.said))
    print(f"{ident}: moved in {len(moved)} of {EPISODES}; senses took {ms:.2f} ms a scrape of one")
    assert least <= len(moved) <= most
