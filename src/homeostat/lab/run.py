"""Runs of many episodes: plays the shards of a run and scores them.

Pure: no clock, no files. `run` yields an event after each shard; whoever calls it shows progress,
keeps the results that the events carry and hands back those of a run that was broken off. Several
processes may each call `run_shard`, which takes and returns plain values.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import Scores, score
from homeostat.lab.oracle import Oracle
from homeostat.lab.policies import ORACLE, make
from homeostat.lab.scenario import Scenario
from homeostat.lab.shards import Options, Shard, merged, shards, to_plain
from homeostat.lab.thresholds import Thresholds, variants
from homeostat.lab.traces import Recorded
from homeostat.lab.types import Episode
from homeostat.lab.world import Played, World, compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One shard is there.

    Attributes:
        done: Shards that are there.
        total: Shards of the run.
        shard: Which it was.
        result: Its result; keep it under `shard.digest()` to resume.
        fresh: Whether it was played now.
    """

    done: int
    total: int
    shard: Shard
    result: Mapping[str, Any] = field(repr=False)
    fresh: bool


def run(
    scenarios: Iterable[Scenario],
    policies: Sequence[str],
    seeds: Sequence[int],
    *,
    options: Options | None = None,
    kept: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Progress]:
    """Play a run shard by shard.

    Args:
        scenarios: Of a catalogue.
        policies: Names.
        seeds: The same for every scenario and policy.
        options: What else the results depend on.
        kept: Results of shards that were played before, by digest.

    Yields:
        An event after each shard; `shards.merged` of the results is the run.
    """
    pieces = shards(scenarios, policies, seeds, options)
    known = kept or {}
    for done, shard in enumerate(pieces, 1):
        found = known.get(shard.digest())
        result = run_shard(shard) if found is None else found
        yield Progress(
            done=done, total=len(pieces), shard=shard, result=result, fresh=found is None
        )


def run_shard(shard: Shard, recorded: Mapping[str, Recorded] | None = None) -> dict[str, Any]:
    """Play and score one shard; return its result as plain values, which JSON can hold.

    Args:
        shard: The piece.
        recorded: Recorded loads by name; whoever gives them names their content in
            `Options.code`, because the shard's digest cannot.

    Raises:
        UnknownPolicyError: A policy's name is unknown.
        DrawError: A recorded load that the scenario replays is not there.
    """
    episodes = [draw(shard.scenario, seed, recorded=recorded) for seed in shard.seeds]
    scores = play_all(episodes, shard.policies, shard.options)
    return {
        "digest": shard.digest(),
        "scenario": shard.scenario.id,
        "seeds": list(shard.seeds),
        "policies": {name: to_plain(one) for name, one in scores.items()},
    }


def play_all(
    episodes: Sequence[Episode], policies: Sequence[str], options: Options
) -> dict[str, Scores]:
    """Return the scores of each policy over one batch of episodes of equal size and length.

    The oracle starts from what the other policies of the run did.
    """
    world = world_of(episodes[0].slots, options.width)
    hold = world.play(make("hold"), episodes)
    scale = options.person_scale
    rows = variants() if options.sensitivity else {}
    scores: dict[str, Scores] = {}
    played: list[Played] = []
    for name in policies:
        if name == ORACLE:
            continue
        one = hold if name == "hold" else world.play(make(name, person_scale=scale), episodes)
        scores[name] = _scored(one, hold, scale, rows)
        if ORACLE in policies:
            played.append(one)
    if ORACLE in policies:
        best = Oracle(world, person_scale=scale).play(episodes, hold, played)
        scores[ORACLE] = _scored(best, hold, scale, rows)
    return {name: scores[name] for name in policies}


@functools.cache
def world_of(slots: int, width: int) -> World:
    """Return the world of one size; what it compiles stays for the process."""
    return World(compiled(slots), width=width)


def _scored(
    one: Played, hold: Played, person_scale: float, rows: Mapping[str, Thresholds]
) -> Scores:
    return score(one.trace, hold.trace, orders=one.orders, person_scale=person_scale, rows=rows)


__all__ = [
    "Options", "Progress", "Shard", "merged", "play_all", "run", "run_shard", "shards", "world_of",
]  # fmt: skip
