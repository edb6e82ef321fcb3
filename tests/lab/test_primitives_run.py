"""Every word of the fault language, in a file of its own, runs and does something.

Each file is written here, read, drawn and played beside the same episode without that one fault;
meanwhile the levers are used, for some faults show only then.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hold_plays import SLOTS, Recorder
from one_primitive import family, text
from typing_extensions import override

from homeostat.lab.baselines.levers import changed, move, quiet, standing
from homeostat.lab.compose import pairs, unseen
from homeostat.lab.deployment_build import array
from homeostat.lab.draw import draw
from homeostat.lab.run import world_of
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.scenario_schema import load
from homeostat.lab.types import Episode, Move
from homeostat.testing.catalogue import catalogue
from homeostat.twin.outputs import Scrape
from homeostat.twin.primitives import INDEX, PRIMITIVES, Primitive
from homeostat.twin.shapes import VARIANTS

WIDTH = 4  # that of the lab's other tests: one program for all of them
CHANNELS = tuple(dict.fromkeys(p.channel for p in PRIMITIVES))
# Worked out when an episode is drawn: whom another fault hits, how strong it is.
DRAWN = frozenset({"group_size", "n_pools"})


class Busy(Recorder):
    """Uses each lever once, at the same times in every episode."""

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        super().start(episodes)
        self._orders = standing(episodes)

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        super().act(now_s, scrape)
        at, orders = len(self.scrapes), quiet(self._orders)
        restart, rollback = np.array(orders.restart), np.zeros((len(orders.admit_rps), VARIANTS))
        replicas, weights = np.array(orders.replicas), np.array(orders.weights)
        restart[:, 0] = at == 11  # a little after the onset, then one by one
        replicas[:, 0] += at == 14
        weights[:, :2] = (0.7, 0.3) if at >= 18 else (1.0, 0.0)
        rollback[:, 0] = at == 30
        self._orders = changed(
            orders, restart=restart, rollback=rollback > 0, replicas=replicas, weights=weights
        )
        return move(self._orders, intervened=np.full(len(orders.admit_rps), at > 0))


def written(primitive: Primitive) -> Episode:
    (found,) = load(text(primitive), f"{primitive.name}.yaml")
    return draw(found, 1, slots=SLOTS)


def without(episode: Episode, primitive: str) -> Episode:
    """The same episode, in which that one fault never begins."""
    faults = episode.faults
    mine = np.asarray(faults.primitive) == INDEX[primitive]
    return replace(
        episode,
        faults=replace(
            faults,
            primitive=array(np.where(mine, 0, faults.primitive), np.int32),
            start_s=array(np.where(mine, np.inf, faults.start_s)),
        ),
    )


def numbers(policy: Recorder, truth: object, row: int) -> dict[str, np.ndarray]:
    """All that was true, and all that was seen, of one episode."""
    found = {
        name: np.asarray(getattr(truth, name))[row]
        for name in truth.__dataclass_fields__  # type: ignore[attr-defined]
        if name != "faulty"
    }
    for name in ("gateway", "variant", "slot", "age_s", "phase", "replicas", "levers_ok"):
        found[f"seen {name}"] = np.stack([
            np.asarray(getattr(s, name))[row] for s in policy.scrapes
        ])
    return found


def check_sane(found: dict[str, np.ndarray], name: str) -> None:
    for key, values in found.items():
        plain = np.asarray(values, np.float64)
        if key.startswith("seen") or key == "variant_p99_s":  # NaN: not reported, nobody served
            assert not np.isinf(plain).any(), (name, key)
        else:
            assert np.isfinite(plain).all(), (name, key)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the first of them compiles, which a busy machine makes minutes
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_file_with_any_primitive_runs_and_shows(channel: str) -> None:
    mine = [p for p in PRIMITIVES if p.channel == channel]
    each = [e for p in mine for e in (written(p), without(written(p), _drawn_as(p)))]
    for first in range(0, len(each), WIDTH):
        policy = Busy()
        trace = world_of(SLOTS, WIDTH).play(policy, each[first : first + WIDTH]).trace
        for row in range(0, len(trace.episodes), 2):
            name = trace.episodes[row].scenario.removeprefix("P_")
            ill, well = (numbers(policy, trace.truth, at) for at in (row, row + 1))
            check_sane(ill, name)
            assert np.asarray(trace.truth.faulty)[row, 200:300].all() or name in DRAWN
            same = all(np.array_equal(ill[key], well[key], equal_nan=True) for key in ill)
            assert same == (name in DRAWN), f"{name} does nothing"


def _drawn_as(primitive: Primitive) -> str:
    return "arrival_mult" if primitive.name == "base_rho" else primitive.name


def test_every_primitive_is_written_with_what_it_needs() -> None:
    for primitive in PRIMITIVES:
        drawn = {PRIMITIVES[int(i)].name for i in written(primitive).faults.primitive}
        assert {_drawn_as(PRIMITIVES[INDEX[name]]) for name in family(primitive)} <= drawn


@pytest.mark.slow
def test_pairs_and_compositions_nobody_wrote_give_numbers() -> None:
    """Short, and beginning soon: what is asked is whether they run, not how they end."""
    crowd = [*pairs(catalogue(), 10, seed=3), *(unseen(seed) for seed in range(10))]
    episodes = []
    for seed, composed in enumerate(crowd):
        try:
            episode = draw(composed, seed, slots=SLOTS)
        except DrawError:
            continue  # more replicas than these slots hold
        begin = np.asarray(episode.faults.start_s) - float(np.min(episode.faults.start_s))
        soon = np.where(np.isfinite(begin), np.minimum(60.0 + begin, 300.0), np.inf)
        faults = replace(
            episode.faults,
            start_s=array(soon),
            stop_s=array(np.maximum(np.asarray(episode.faults.stop_s), soon + 60)),
        )
        episodes.append(replace(episode, faults=faults, length_s=900))
    assert len(episodes) > 15
    for first in range(0, len(episodes), WIDTH):
        policy = Busy()
        trace = world_of(SLOTS, WIDTH).play(policy, episodes[first : first + WIDTH]).trace
        for row, episode in enumerate(trace.episodes):
            check_sane(numbers(policy, trace.truth, row), f"{episode.scenario}/{episode.seed}")
