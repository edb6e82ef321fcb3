"""Runs of many episodes: plays the shards of a run and scores them.

Pure: no clock, no files. `run` yields an event after each shard; whoever calls it shows progress,
keeps the results that the events carry and hands back those of a run that was broken off. Several
processes may each call `play` and `result_of`; the result is plain values, the play is bytes if
it must travel (see `plays`).
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homeostat.lab.beside import part_of
from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import score
from homeostat.lab.oracle import Oracle
from homeostat.lab.policies import make
from homeostat.lab.scenario import Scenario
from homeostat.lab.shards import HOLD, ORACLE, Options, Shard, shards, to_plain
from homeostat.lab.thresholds import variants
from homeostat.lab.traces import Recorded
from homeostat.lab.types import Episode
from homeostat.lab.world import Played, World, compiled
from homeostat.twin.shapes import TICK_S


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
    known, plays = kept or {}, dict[str, Played]()
    for done, shard in enumerate(pieces, 1):
        if shard.policy == HOLD:
            plays = {}
        found = known.get(shard.digest())
        result = _play(shard, plays) if found is None else found
        yield Progress(
            done=done, total=len(pieces), shard=shard, result=result, fresh=found is None
        )


def _play(shard: Shard, plays: dict[str, Played]) -> dict[str, Any]:
    """Play one shard beside what was played of the same episodes; keep its play there."""
    block = episodes_of(shard.whole)
    for name in (HOLD, *shard.others):
        if name not in plays:
            plays[name] = play(shard.under(name), block)
    if shard.block:
        own = {name: part_of(plays[name], shard.rows) for name in (HOLD, *shard.others)}
        return result_of(shard, play(shard, block[shard.rows], own), own[HOLD])
    one = plays.get(shard.policy)
    if one is None:
        one = plays[shard.policy] = play(shard, block, plays)
    return result_of(shard, one, plays[HOLD])


def episodes_of(shard: Shard, recorded: Mapping[str, Recorded] | None = None) -> list[Episode]:
    """Return a shard's episodes.

    Args:
        shard: The piece.
        recorded: Recorded loads by name; whoever gives them names their content in
            `Options.code`, because the shard's digest cannot.

    Raises:
        DrawError: A recorded load that the scenario replays is not there.
    """
    return [draw(shard.scenario, seed, recorded=recorded) for seed in shard.seeds]


def play(
    shard: Shard,
    episodes: Sequence[Episode],
    plays: Mapping[str, Played] | None = None,
    trained: Mapping[str, bytes] | None = None,
) -> Played:
    """Return what a shard's policy does.

    Args:
        shard: The piece.
        episodes: Its own.
        plays: Of the same episodes, by policy: HOLD's and those that the shard starts from. Only
            the oracle looks at them.
        trained: Files of trained policies by name, for the learners; whoever gives them names
            their content in `Options.code`.

    Raises:
        UnknownPolicyError: The policy's name is unknown.
        UntrainedError: It is a learner whose file was not given.
        KeyError: A play that the oracle starts from is not there.
    """
    world = world_for(episodes, shard.options.width)
    scale = shard.options.person_scale
    if shard.policy != ORACLE:
        chosen = make(shard.policy, person_scale=scale, trained=trained)
        return world.play(chosen, episodes)
    there = plays or {}
    others = [there[name] for name in shard.others if name != HOLD]
    return Oracle(world, person_scale=scale).play(episodes, there[HOLD], others)


def result_of(shard: Shard, played: Played, hold: Played) -> dict[str, Any]:
    """Return a shard's result as plain values, which JSON can hold.

    Args:
        shard: The piece.
        played: What its policy did.
        hold: HOLD's play of the same episodes.
    """
    rows = variants() if shard.options.sensitivity else {}
    scores = score(
        played.trace,
        hold.trace,
        orders=played.orders,
        person_scale=shard.options.person_scale,
        rows=rows,
    )
    return {
        "digest": shard.digest(),
        "scenario": shard.scenario.id,
        "seeds": list(shard.seeds),
        "policy": shard.policy,
        "scores": to_plain(scores),
    }


def world_for(episodes: Sequence[Episode], width: int) -> World:
    """Return the world in which episodes of one scenario are played."""
    return world_of(episodes[0].slots, width, episodes[0].tick_s)


@functools.cache
def world_of(slots: int, width: int, tick_s: float = TICK_S) -> World:
    """Return the world of one size; what it compiles stays for the process."""
    return World(compiled(slots, tick_s), width=width)
