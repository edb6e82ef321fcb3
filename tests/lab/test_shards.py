"""A run in pieces: nothing twice, nothing lost, and a digest that moves with what matters."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from homeostat.lab.judge import Judgement
from homeostat.lab.metrics_people import People
from homeostat.lab.metrics_score import Scores
from homeostat.lab.metrics_service import Service
from homeostat.lab.scenario import Onset, Scenario
from homeostat.lab.shards import (
    ORACLE_HOURS,
    Options,
    Shard,
    from_plain,
    merged,
    shards,
    to_plain,
)

CASES = tuple(
    Scenario(
        id=f"S{k:02}", name="n", family="load", summary="", faults=(), onset=Onset(), length_s=3600
    )
    for k in range(3)
)


def filled(kind: Any, n: int, **values: Any) -> Any:
    """A score of `n` episodes in which every number differs, some are missing."""
    rng = np.random.default_rng(n)
    numbers = {name: rng.normal(size=n) for name in kind.__dataclass_fields__}
    for column in numbers.values():
        column[0] = np.nan
    return kind(**(numbers | values))


def some_scores(scenario: str, seeds: tuple[int, ...]) -> Scores:
    n = len(seeds)
    ticks = np.arange(7 * n).reshape(n, 7) - 1
    judgement = filled(
        Judgement,
        n,
        any_tick=ticks,
        caused_tick=ticks,
        first_action_tick=ticks,
        last_action_tick=ticks,
        by_holding=np.arange(n) % 2 == 0,
        near_misses=np.arange(n),
        decisions=np.arange(n),
    )
    return Scores(
        scenario=(scenario,) * n,
        seed=seeds,
        family=("load",) * n,
        benign=(False,) * n,
        recoverable=(True,) * n,
        judgement=judgement,
        service=filled(Service, n, repaired=np.ones(n, bool)),
        people=filled(People, n),
        value=np.array([*[-np.inf] * (n - 1), 0.1]),
        sensitivity=np.arange(2 * n).reshape(n, 2) % 3 == 0,
    )


def test_every_episode_is_in_one_shard_and_blocks_are_even() -> None:
    pieces = shards(CASES, ["hold"], range(100), Options(width=30))
    assert {piece.policy for piece in pieces} == {"hold"}
    played = [(piece.scenario.id, seed) for piece in pieces for seed in piece.seeds]
    assert sorted(played) == sorted((case.id, seed) for case in CASES for seed in range(100))
    assert {len(piece.seeds) for piece in pieces} == {25}


def test_the_whole_catalogue_comes_before_anything_twice() -> None:
    pieces = shards(CASES, ["hold"], range(10), Options(width=5))
    assert [piece.label for piece in pieces][:4] == [
        "S00 0-4 hold",
        "S01 0-4 hold",
        "S02 0-4 hold",
        "S00 5-9 hold",
    ]


def test_hold_is_played_whether_asked_for_or_not_and_the_oracle_starts_from_the_others() -> None:
    pieces = shards(CASES[:1], ["oracle", "hpa"], [0])
    assert [(piece.policy, piece.others) for piece in pieces] == [
        ("hold", ()),
        ("hpa", ()),
        ("oracle", ("hold", "hpa")),
    ]


def test_another_policy_in_the_run_is_another_shard_for_the_oracle_alone() -> None:
    few = {one.policy: one.digest() for one in shards(CASES[:1], ["oracle", "hpa"], [0])}
    more = {one.policy: one.digest() for one in shards(CASES[:1], ["oracle", "hpa", "keda"], [0])}
    assert {name for name in few if few[name] != more[name]} == {"oracle"}


def test_a_shard_of_the_oracles_is_a_part_of_the_block_that_the_others_are_played_in() -> None:
    long = replace(CASES[0], length_s=14400)
    hold, hpa, *parts = shards([long], ["hpa", "oracle"], range(50))
    assert [seed for one in parts for seed in one.seeds] == list(range(50))
    assert max(len(one.seeds) for one in parts) * 4 <= ORACLE_HOURS
    assert len({one.digest() for one in parts}) == len(parts)
    for one in parts:
        assert (one.under("hold"), one.under("hpa")) == (hold, hpa)
        assert one.block[one.rows] == one.seeds
    (whole,) = [one for one in shards(CASES[:1], ["oracle"], range(32)) if one.policy == "oracle"]
    assert (whole.block, whole.whole, whole.rows) == ((), whole, slice(0, 32))


def test_a_play_is_the_same_however_strictly_it_is_judged() -> None:
    base = Shard(scenario=CASES[0], seeds=(0,), policy="hold", options=Options())
    strict = replace(base, options=Options(sensitivity=True))
    assert base.digest() != strict.digest()
    assert base.play_digest() == strict.play_digest()
    for other in (replace(base, policy="hpa"), replace(base, options=Options(code="next"))):
        assert other.play_digest() != base.play_digest()


@pytest.mark.parametrize("missing", ["scenarios", "policies", "seeds"])
def test_an_empty_run_is_an_error(missing: str) -> None:
    told: dict[str, Any] = {"scenarios": CASES, "policies": ["hold"], "seeds": [1]}
    with pytest.raises(ValueError, match="need scenarios, policies and seeds"):
        shards(**(told | {missing: []}))


def test_the_digest_moves_with_all_that_the_result_depends_on() -> None:
    base = Shard(scenario=CASES[0], seeds=(0, 1), policy="hold", options=Options())
    other = (
        replace(base, scenario=replace(CASES[0], length_s=7200)),
        replace(base, seeds=(0, 2)),
        replace(base, policy="hpa"),
        replace(base, others=("hpa",)),
        replace(base, block=(0, 1, 2)),
        replace(base, options=Options(person_scale=2.0)),
        replace(base, options=Options(code="next")),
    )
    assert base.digest() == replace(base).digest()
    assert len({base.digest(), *(one.digest() for one in other)}) == len(other) + 1


def test_scores_survive_json_bit_for_bit() -> None:
    scores = some_scores("S01", (3, 4, 5))
    again = from_plain(json.loads(json.dumps(to_plain(scores))))
    assert again.scenario == scores.scenario
    assert again.seed == scores.seed
    assert again.value.tobytes() == scores.value.tobytes()
    assert again.service.repaired.dtype == bool
    assert again.judgement.any_tick.dtype == scores.judgement.any_tick.dtype
    for part in ("judgement", "service", "people"):
        ours, theirs = getattr(scores, part), getattr(again, part)
        for name in type(ours).__dataclass_fields__:
            np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))


def test_a_result_of_another_version_is_refused() -> None:
    plain = to_plain(some_scores("S01", (0, 1)))
    del plain["people"]["lead_s"]
    with pytest.raises(ValueError, match="People lacks lead_s; run it again"):
        from_plain(plain)


def test_shards_merge_to_the_same_run_in_any_order() -> None:
    results = [
        {"policy": "hold", "scores": to_plain(some_scores(case, seeds))}
        for case in ("S02", "S01")
        for seeds in ((2, 3), (0, 1))
    ]
    ahead, back = merged(results), merged(reversed(results))
    assert json.dumps(to_plain(ahead["hold"])) == json.dumps(to_plain(back["hold"]))
    assert ahead["hold"].scenario == ("S01",) * 4 + ("S02",) * 4
    assert ahead["hold"].seed == (0, 1, 2, 3) * 2


def test_nothing_to_merge_is_an_error() -> None:
    with pytest.raises(ValueError, match="no shard has been run yet"):
        merged([])
