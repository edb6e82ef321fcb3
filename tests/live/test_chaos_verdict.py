"""The schedule of the chaos run is the same again, and its verdict is one of three."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))

import chaos
import chaos_judge as judge
from chaos_plan import FAILING, FREEZE, PARTS, SWITCH, schedule


@pytest.mark.parametrize("seed", range(40))
def test_a_schedule_is_the_same_again_and_breaks_every_part(seed: int) -> None:
    steps = schedule(seed, 60.0)
    assert steps == schedule(seed, 60.0)
    assert set(PARTS) <= {step.what for step in steps}
    assert {step.what for step in steps} & {SWITCH, FREEZE}
    for what in (*PARTS, *FAILING):
        mine = [step for step in steps if step.what == what]
        gaps = itertools.pairwise(mine)
        assert all(before.at_s + before.for_s < after.at_s for before, after in gaps), mine


@pytest.mark.parametrize("seconds", [0.0, 59.0, float("nan"), float("inf"), -5.0])
def test_a_run_of_no_sensible_length_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a run takes 60 s to a day"):
        schedule(1, seconds)


def outcome(landed: int, **changes: object) -> chaos.Outcome:
    base = chaos.Outcome(
        seed=1,
        seconds=120.0,
        broken={f"{part} kill": 1 for part in PARTS},
        acts={"landed": landed, "taken out, ill": 1},
        ends={},
        unsafe={kind: [] for kind in (*judge.KINDS, chaos.JOURNAL, chaos.REPLAY)},
        shown={},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_little_is_a_verdict_of_its_own() -> None:
    assert outcome(2).verdict == "safe"
    assert outcome(1).verdict == "proves too little"
    assert "1 writes landed, 2 are wanted" in chaos.table(outcome(1))
    assert outcome(9, acts={"landed": 9, "taken out, ill": 0}).verdict == "proves too little"
    alone = outcome(9, broken={"haproxy stop": 3})
    assert "nothing happened to leader" in alone.too_little
    assert alone.verdict == "proves too little"


def test_one_unsafe_act_is_the_verdict_and_its_evidence_is_shown() -> None:
    bad = outcome(9, unsafe={**outcome(9).unsafe, judge.TWICE: ["d-1.0.0 was sent twice"]})
    assert bad.verdict == "unsafe"
    assert "d-1.0.0 was sent twice" in chaos.table(bad)
    assert chaos.plain(bad)["verdict"] == "unsafe"
