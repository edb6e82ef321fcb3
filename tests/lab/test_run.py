"""Runs: shards played apart merge to the run played at once; nothing is played twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources

import pytest
from batch_plays import play_all
from learned_made import file

from homeostat.lab import policies, shards
from homeostat.lab import run as lab_run
from homeostat.lab.draw import draw
from homeostat.lab.policies import (
    GROUPS,
    LEARNERS,
    UNSHIPPED,
    UnknownPolicyError,
    make,
    members,
    names,
)
from homeostat.lab.run import run
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_schema import load
from homeostat.lab.shards import Options, Shard, merged, to_plain
from homeostat.lab.types import Episode

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
    results = [event.result for event in run(cases, POLICIES, range(6), options=options)]
    parts = merged(json.loads(json.dumps(one)) for one in reversed(results))
    for name in POLICIES:
        assert parts[name].scenario == ("S03",) * 6 + ("S05",) * 6
        assert parts[name].seed == tuple(range(6)) * 2
    # The same episodes in one batch, in another company.
    pair = [(cases[1], 5), (cases[0], 2)]
    whole = play_all([draw(case, seed) for case, seed in pair], POLICIES, WIDTH)
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
    trained = {name: file(name) for name in LEARNERS}
    made = {name: make(name, trained=trained).name for name in names() if name != "oracle"}
    assert made == {name: name for name in made}
    assert {"hold", "escalate", "threshold", "hpa", "keda", "random", "homeostat"} <= set(made)


def test_everybody_who_calls_a_person_calls_one_of_the_scale_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    for name in (
        "escalate", "threshold", "static", "hpa", "keda", "runbook_policy", "homeostat",
        "homeostat_twin", "homeostat_budget", "bandit", "safe_canary",
    ):  # fmt: skip
        monkeypatch.setattr(policies, name, lambda *_, scale, **__: asked.append(scale))
    monkeypatch.setitem(LEARNERS, "ppo", lambda _, scale: asked.append(scale))
    alone = {"hold", "random", "random_safe"}  # tell nobody
    alone |= {"ppo_hash", "ppo_quality", "ppo_lagrangian"}
    alone |= {"oracle"}  # is told its own
    people = [name for name in names() if name not in alone]
    for name in people:
        make(name, person_scale=2.0)
    assert asked == [2.0] * len(people)


def test_the_baselines_are_all_that_need_no_learning_and_all_is_all() -> None:
    product = {"homeostat", "homeostat_twin", "homeostat_budget"}
    assert set(members(["baselines"])) == set(names()) - {*product, "oracle", *LEARNERS}
    # But what has to be made first.
    assert set(members(["all"])) == set(names()) - set(UNSHIPPED)
    assert members(["oracle", "hold", "baselines"])[:3] == ("oracle", "hold", "escalate")
    assert not set(GROUPS) & set(names())


def test_a_part_of_the_oracles_sees_its_own_rows_of_the_plays_and_no_others(
    cases: list[Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(
        shard: Shard, episodes: Sequence[Episode], plays: Mapping[str, str] | None = None
    ) -> str:
        seeds = f"{shard.policy} {episodes[0].seed}-{episodes[-1].seed}"
        return f"{seeds} from {' and '.join(plays.values())}" if shard.others and plays else seeds

    monkeypatch.setattr(lab_run, "play", play)
    monkeypatch.setattr(lab_run, "part_of", lambda one, at: f"{one} [{at.start}:{at.stop}]")
    monkeypatch.setattr(lab_run, "result_of", lambda _, *plays: {"played": " beside ".join(plays)})
    monkeypatch.setattr(shards, "ORACLE_HOURS", 1.0)
    found = [event.result["played"] for event in run(cases[:1], ["oracle"], range(4))]
    assert found == [
        "hold 0-3 beside hold 0-3",
        "oracle 0-1 from hold 0-3 [0:2] beside hold 0-3 [0:2]",
        "oracle 2-3 from hold 0-3 [2:4] beside hold 0-3 [2:4]",
    ]


def test_one_more_policy_plays_its_own_shards_alone(
    cases: list[Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def play(shard: Shard, *_: object) -> str:
        started.append(shard.policy)
        return shard.policy

    def result(shard: Shard, *plays: str) -> dict[str, str]:
        return {"of": shard.policy, "played": " beside ".join(plays)}

    monkeypatch.setattr(lab_run, "play", play)
    monkeypatch.setattr(lab_run, "result_of", result)
    first = list(run(cases[:1], ["threshold"], range(2)))
    assert [event.result for event in first] == [
        {"of": "hold", "played": "hold beside hold"},
        {"of": "threshold", "played": "threshold beside hold"},
    ]
    kept = {event.shard.digest(): event.result for event in first}
    started.clear()
    more = list(run(cases[:1], ["threshold", "hpa"], range(2), kept=kept))
    fresh = {event.shard.policy: event.fresh for event in more}
    assert fresh == {"hold": False, "threshold": False, "hpa": True}
    assert started == ["hold", "hpa"]  # HOLD's play is kept by whoever has a disk: `cli.lab_plays`


def test_a_policy_that_is_trained_anew_leaves_the_shards_of_others_standing(
    cases: list[Scenario],
) -> None:
    def digests(**files: str) -> dict[str, tuple[str, str]]:
        options = Options(trained=tuple(sorted(files.items())))
        pieces = shards.shards(cases[:1], ["threshold", "ppo", "ppo_hash", "oracle"], [0], options)
        return {one.policy: (one.digest(), one.play_digest()) for one in pieces}

    before = digests(ppo="a", ppo_hash="b")
    after = digests(ppo="c", ppo_hash="b")
    assert {name for name in before if before[name] != after[name]} == {"ppo", "oracle"}
    piece = shards.shards(cases[:1], ["ppo", "oracle"], [0], Options(trained=(("ppo", "a"),)))[-1]
    alone = shards.shards(cases[:1], ["ppo"], [0], Options(trained=(("ppo", "a"),)))[-1]
    assert piece.under("ppo").play_digest() == alone.play_digest()
