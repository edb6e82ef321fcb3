"""The fused score: one answer for a deployment, one onset however long, and nothing for silence."""

from typing import Any

import numpy as np
import pytest
from fused_play import SIGNALS, Play
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.evidence import (
    UNLIKE_ITSELF,
    Evidence,
    Family,
    Verdict,
)
from homeostat.base.types import TimeNs
from homeostat.detect import changepoint, fused, fused_batch, fused_rooms, stack, stack_incident
from homeostat.detect.fused import Config, Fused, FusedState
from homeostat.detect.fused_charts import HELD
from homeostat.detect.fused_groups import width_for
from homeostat.detect.layout import Layout, layout
from homeostat.stats.arrays import from_bytes, to_bytes

WARM = 220


def shift(play: Play, name: str, by: float) -> None:
    for signal in SIGNALS:
        play.off[name, "replica:a-1", signal] = by


@pytest.fixture(scope="module")
def warm() -> Play:
    play = Play("one", "two")
    play.play(WARM)
    return play


def branch(warm: Play) -> Play:
    other = Play("one", "two", seed=2)
    other.state, other.tick, other.layout = warm.state, warm.tick, warm.layout
    return other


def branch_of(play: Play) -> Play:
    other = branch(play)
    other.off = play.off
    return other


def since(every: list[dict[str, Evidence]], name: str) -> list[TimeNs | None]:
    return [one[name].score.since for one in every if one[name].score is not None]  # type: ignore[union-attr]


def test_before_there_is_a_past_the_score_follows_the_charts_and_silence_is_unknown() -> None:
    play = Play("one", "two")
    play.silent = {"two"}
    out = play.one()
    known, silent = out["one"].score, out["two"].score
    assert known is not None
    assert silent is not None
    assert (known.verdict, known.neg_log10_p) == (Verdict.HEALTHY, 0.0)
    assert (silent.verdict, silent.neg_log10_p, silent.score) == (Verdict.UNKNOWN, None, None)


def test_a_shift_of_one_replica_is_one_onset_that_names_it_and_nobody_else_is_touched(
    warm: Play,
) -> None:
    play = branch(warm)
    shift(play, "one", 12.0)
    assert not any(one["one"].suspicions for one in branch_of(play).play(8))  # nobody feels it
    play.alarms = {"one": 6.0}
    out = play.play(40)
    told = [at for at in since(out, "one") if at is not None]
    assert len(told) > 30
    assert len(set(told)) == 1
    assert not any(since(out, "two"))
    last = out[20]["one"]
    assert last.score is not None
    assert {one.subject for one in last.score.contributions} == {"replica:a-1"}
    assert sum(one.share for one in last.score.contributions) <= 1.0 + 1e-9
    assert {claim.subject for claim in last.anomalies if claim.detector == "stack"} == {
        "replica:a-1"
    }
    found = [one["one"].suspicions for one in out if one["one"].suspicions]
    assert {(one[0].family, one[0].subject) for one in found} == {(Family.UNCLEAR, "model")}
    assert all("of replica:a-1" in one[0].because[1] for one in found)
    assert {one[0].confidence for one in found} == {UNLIKE_ITSELF}


def test_the_line_of_the_score_is_crossed_where_an_onset_begins_and_only_there(warm: Play) -> None:
    play = branch(warm)
    shift(play, "one", 12.0)
    scores = [one["one"].score for one in play.play(40)]
    begins = [one.score is not None and one.score >= 0.5 for one in scores if one is not None]
    assert sum(begins) == 1


def test_what_a_rule_suspects_first_is_its_incident_and_not_another(warm: Play) -> None:
    play = branch(warm)
    play.alarms = {"one": 6.0}
    play.suspected = {"one"}
    play.play(2)
    shift(play, "one", 12.0)
    out = play.play(5)
    play.suspected = set()
    out += play.play(20)
    assert any(since(out, "one"))
    assert all(not one["one"].suspicions for one in out[5:])


@pytest.mark.slow
def test_what_begins_while_we_act_is_ours_and_levels_begin_anew_after_it(warm: Play) -> None:
    play = branch(warm)
    play.alarms = {"one": 6.0}
    play.busy = frozenset({"one"})
    shift(play, "one", 12.0)
    out = play.play(10)
    play.busy = frozenset()
    out += play.play(120)
    assert all(not one["one"].suspicions for one in out)
    assert since(out, "one")[-1] is None


@pytest.mark.slow
def test_a_level_that_stays_is_told_once_and_is_normal_in_the_end(warm: Play) -> None:
    play = branch(warm)
    shift(play, "one", 12.0)
    told = since(play.play(400), "one")
    assert len({at for at in told if at is not None}) == 1
    assert told[-1] is None


@pytest.mark.slow
def test_as_shipped_a_past_of_some_hundred_ticks_is_enough_and_health_raises_nothing() -> None:
    play = Play("one", "two")
    play.part = Fused()
    healthy = play.play(600)
    assert not any(since(healthy, "one"))
    assert not any(since(healthy, "two"))
    shift(play, "one", 12.0)
    assert any(since(play.play(12), "one"))


def test_charts_alone_must_hold_and_be_gross() -> None:
    short, weak, gross = Play("one"), Play("one"), Play("one")
    short.play(40), weak.play(40), gross.play(40)
    short.alarms, weak.alarms, gross.alarms = {"one": 300.0}, {"one": 8.0}, {"one": 300.0}
    told = [*since(short.play(HELD - 1), "one")]
    short.alarms = {}
    told += since(short.play(9), "one")
    assert not any(told)
    assert not any(since(weak.play(12), "one"))
    assert any(since(gross.play(HELD + 1), "one"))


def test_a_budget_says_where_an_onset_begins() -> None:
    for budget, tick_s, begins in ((0.2, 15.0, False), (500.0, 300.0, True)):
        play = Play("one")
        play.part = Fused(Config(false_incidents=budget, tick_s=tick_s))
        play.play(40)
        play.alarms = {"one": 300.0}
        assert any(since(play.play(HELD + 1), "one")) is begins


@pytest.mark.parametrize("said", [{"false_incidents": 0.0}, {"tick_s": 0.0}, {"tick_s": np.nan}])
def test_a_budget_without_a_level_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Config(**said)


def test_deployments_do_not_depend_on_their_neighbours() -> None:
    alone, many = Play("one", seed=5), Play("one", seed=5)
    many.play(0)
    for _ in range(60):
        first = alone.one()["one"]
        second = many.one()["one"]
        assert first.score == second.score
    crowd = Play("one", *[f"n{number}" for number in range(5)], seed=5)
    assert {len(group.owners) for group in _at(crowd).batches.groups.values()} == {6}


def _at(play: Play) -> FusedState:
    play.one()
    return play.state


def test_a_deployment_that_outgrows_its_row_goes_on_in_a_wider_one(warm: Play) -> None:
    play = branch(warm)
    play.replicas["one"] = 9
    out = play.one()
    assert width_for(2 * len(SIGNALS)) < 9 * len(SIGNALS)
    owners = {name: key[0] for key, group in play.state.batches.groups.items()
              for name in group.owners if name}  # fmt: skip
    assert owners["one"] > owners["two"]
    assert out["one"].score is not None
    assert out["two"].score is not None
    assert out["two"].score.neg_log10_p is not None


def test_a_checkpoint_goes_on_bit_for_bit(warm: Play) -> None:
    classes = (
        *fused.STATE_CLASSES, *fused_batch.STATE_CLASSES, changepoint.State, *_nested(warm.state)
    )  # fmt: skip
    play, again = branch(warm), branch(warm)
    again.state = from_bytes(to_bytes(play.state), classes)
    shift(play, "two", 12.0)
    shift(again, "two", 12.0)
    assert play.play(30) == again.play(30)
    assert to_bytes(play.state) == to_bytes(again.state)


def _nested(value: object) -> set[type]:
    if isinstance(value, FusedState):
        groups = value.batches.groups.values()
        return set().union(*(_nested(part) for group in groups for part in (group.seen, group.incident)))  # fmt: skip  # noqa: E501
    if isinstance(value, tuple):
        return {type(value)}.union(*(_nested(one) for one in value))
    return set()


def test_a_large_fleet_is_seated_over_some_ticks_and_a_place_is_used_again() -> None:
    names_of = [f"n{number:02d}" for number in range(fused_rooms.MOST + 3)]
    play = Play(*names_of)
    first, second = play.one(), play.one()
    waiting = [name for name in names_of if _verdict(first[name]) is Verdict.UNKNOWN]
    assert waiting == names_of[fused_rooms.MOST :]
    assert not [name for name in names_of if _verdict(second[name]) is Verdict.UNKNOWN]
    keys = list(play.state.batches.groups)
    assert [number for _, number in keys] == [0, 1]
    del play.replicas["n01"]
    play.play(2)
    play.tick += 700
    play.play(2)
    play.replicas["new"] = 2
    assert _verdict(play.one()["new"]) is Verdict.HEALTHY
    assert play.state.batches.groups[keys[0]].owners[1] == "new"


def changing_fleet() -> tuple[list[dict[str, Evidence]], set[tuple[int, int, int]]]:
    """Play deployments that come, outgrow their row, leave, and come back."""
    play = Play(*[f"n{number}" for number in range(6)])
    out, sizes = [], set()
    for tick in range(170):
        if tick in {20, 60}:
            play.replicas[f"n{tick // 20}"] = 9
        if tick == 100:
            play.replicas["new"] = 2
        if tick == 110:
            for name in ("n0", "n2", "n4"):
                del play.replicas[name]
        if tick == 140:
            play.tick += 700
        if tick == 150:
            play.replicas |= {"late": 2, "n0": 2}
        out.append(play.one())
        groups = play.state.batches.groups.items()
        sizes |= {(width, tick, len(group.owners)) for (width, _), group in groups}
    return out, sizes


@pytest.mark.slow
def test_what_is_said_does_not_depend_on_how_many_places_are_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tight, small = changing_fleet()
    # A batch that doubles, and never gives up a place while anybody is in it.
    monkeypatch.setattr(fused_rooms, "_SHARE", 1)
    wide, large = changing_fleet()
    assert tight == wide
    assert sum(size for _, _, size in small) < 0.9 * sum(size for _, _, size in large)


def _verdict(evidence: Evidence) -> Verdict | None:
    return None if evidence.score is None else evidence.score.verdict


def test_a_layout_without_charted_series_scores_nothing() -> None:
    part = Fused()
    bare: Layout = layout(())
    play = Play("one")
    state, out = part.step(
        part.init(), play.signals((), []), bare, (play.said("one"),), frozenset({"one"}),
        frozenset(),
    )  # fmt: skip
    assert out[0].score is not None
    assert out[0].score.verdict is Verdict.UNKNOWN
    assert not state.since


def test_the_stack_takes_the_width_of_its_group(warm: Play) -> None:
    ((width, number),) = warm.state.batches.groups
    group = warm.state.batches.groups[width, number]
    blank = stack.Stack().init(width, entities=len(group.owners))
    assert group.seen.stack.rows.screen.count.shape == blank.rows.screen.count.shape


QUIET = Play("one").said("one")


@given(st.integers(0, 2**32 - 1))
def test_what_is_told_are_the_largest_shares_of_all(seed: int) -> None:
    chance = np.random.default_rng(seed)
    columns = tuple((f"replica:a-{at % 3}", f"signal_{at}") for at in range(12))
    weights = chance.choice([0.0, 0.0, 0.01, 0.3, 1.0, 4.0], 16)
    total = weights[:12].sum()
    shares = np.where(weights > 0.0, weights / total if total else 0.0, 0.0)
    if chance.random() < 0.3:
        shares[:] = np.nan
    said = stack.Said(*(np.zeros(1),) * 5, shares[None], np.zeros(1), np.zeros(1))
    group = fused_rooms.Group(
        owners=("one",), names=(columns,), last=np.zeros(1, dtype=np.int64),
        heard=np.zeros((1, 12), dtype=np.int64), incident=stack_incident.init(np, 1),
        seen=fused_rooms.Seen((), ()),  # type: ignore[arg-type]
    )  # fmt: skip
    parts = dict(zip(columns, np.nan_to_num(shares[:12]).tolist(), strict=True))
    ranked = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
    wanted = [(name, share) for name, share in ranked[:5] if share >= 0.05]
    found = fused._told(group, 0, said, QUIET)
    assert [((one.subject, one.signal), one.share) for one in found] == wanted
