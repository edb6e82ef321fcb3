"""Runs: shards played apart merge to the run played at once; nothing is played twice."""

import json
from dataclasses import replace
from importlib import resources

import pytest

from homeostat.lab.draw import draw
from homeostat.lab.policies import UnknownPolicyError, make, names
from homeostat.lab.run import play_all, run, run_shard
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_schema import load
from homeostat.lab.shards import Options, merged, shards, to_plain

SLOTS, WIDTH, LENGTH_S = 16, 4, 1800
POLICIES = ["hold", "threshold", "random"]


@pytest.fixture(scope="module")
def cases() -> list[Scenario]:
    text = (resources.files("homeostat.lab") / "catalogue" / "infrastructure.yaml").read_text()
    found = {case.id: case for case in load(text, "infrastructure.yaml")}
    return [replace(found[name], length_s=LENGTH_S) for name in ("S05", "S03")]


@pytest.mark.slow
def test_shards_merge_to_the_whole_in_any_order(cases: list[Scenario]) -> None:
    options = Options(width=WIDTH)
    results = [run_shard(shard) for shard in shards(cases, POLICIES, range(6), options)]
    parts = merged(json.loads(json.dumps(one)) for one in reversed(results))
    for name in POLICIES:
        assert parts[name].scenario == ("S03",) * 6 + ("S05",) * 6
        assert parts[name].seed == tuple(range(6)) * 2
    # The same episodes in one batch, in another company.
    pair = [(cases[1], 5), (cases[0], 2)]
    whole = play_all([draw(case, seed) for case, seed in pair], POLICIES, options)
    for name in POLICIES:
        for row, (case, seed) in enumerate(pair):
            at = list(zip(parts[name].scenario, parts[name].seed, strict=True)).index((
                case.id,
                seed,
            ))
            assert whole[name].value[row] == parts[name].value[at]
            assert whole[name].service.latency_s[row] == parts[name].service.latency_s[at]


@pytest.mark.slow
def test_a_run_that_was_broken_off_takes_up_what_is_there(cases: list[Scenario]) -> None:
    options = Options(width=WIDTH)
    begun = run(cases[:1], ["hold"], range(8), options=options)
    first = next(begun)
    assert (first.done, first.total, first.fresh) == (1, 2, True)
    kept = {first.shard.digest(): first.result}
    events = list(run(cases[:1], ["hold"], range(8), options=options, kept=kept))
    assert [event.fresh for event in events] == [False, True]
    assert events[0].result is first.result
    again = list(run(cases[:1], ["hold"], range(8), options=options))
    resumed = merged(event.result for event in events)["hold"]
    fresh = merged(event.result for event in again)["hold"]
    assert json.dumps(to_plain(resumed)) == json.dumps(to_plain(fresh))


def test_an_unknown_policy_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UnknownPolicyError, match=r"unknown policy 'hpaa'; there are hold, .*hpa"):
        make("hpaa")


def test_every_name_but_the_oracle_makes_a_policy_of_that_name() -> None:
    made = {name: make(name).name for name in names() if name != "oracle"}
    assert made == {name: name for name in made}
    assert {"hold", "escalate", "threshold", "hpa", "keda", "random", "homeostat"} <= set(made)
