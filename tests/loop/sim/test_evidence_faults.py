"""Nothing shrinks and nothing is promoted on evidence that is wrong, where it is when it is right.

Each fault is placed a moment before the same run without it does act: holding is no muteness.
"""

from functools import cache, partial

import pytest
from evidence_faults import counts, faults
from evidence_faults.calm import Calm
from ramp_world import RAMP

from homeostat.safety import guard as guard_module
from homeostat.safety import permit as permit_module
from homeostat.safety.guard import compile_rules
from homeostat.safety.rules import RULES

BEFORE = 33  # seconds; it gives a replica back in the 37th
LASTS = 8
CONTROLS = 40  # of runs without a fault
A_FEW = ("everything is not asked", "envoy says zero", "every page says NaN")
STAND_BETWEEN = {"G2 floor", "G3 peak", "G3 room"}  # where one replica is no longer probed


@cache
def _before() -> Calm:
    calm = Calm()
    for _ in range(BEFORE):
        calm.second()
    assert not calm.taken
    return calm


def _shrinks(fault: faults.Fault | None, seed: int) -> bool:
    calm = _before().branch(seed)
    for _ in range(LASTS):
        seen = calm.read()
        calm.second(seen if fault is None else fault.apply(seen))
    return bool(calm.taken)


@pytest.mark.sim
def test_no_wrong_reading_takes_a_replica_away_where_the_right_one_does() -> None:
    given_back = sum(_shrinks(None, seed) for seed in range(CONTROLS))
    every = faults.faults()
    wrong = [fault.name for seed, fault in enumerate(every) if _shrinks(fault, seed)]
    print(
        f"evidence faults before shrinking: {len(every)}, of which {len(wrong)} shrank; "
        f"without a fault {given_back} of {CONTROLS} did"
    )
    assert given_back >= 0.95 * CONTROLS
    assert len(every) >= 130
    assert not wrong


def test_a_few_wrong_readings_take_nothing_away() -> None:
    few = [fault for fault in faults.faults() if fault.name in A_FEW]
    assert len(few) == len(A_FEW)
    assert _shrinks(None, 1)
    assert not any(_shrinks(fault, 1) for fault in few)


def test_a_guard_without_its_rules_of_evidence_would_take_a_replica_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = [rule for rule in RULES if f"{rule.id} {rule.name}" not in STAND_BETWEEN]
    assert len(kept) == len(RULES) - len(STAND_BETWEEN)
    lax = compile_rules(kept)
    unseen = next(fault for fault in faults.faults() if fault.name == "probe-a-0 is not asked")
    assert not _shrinks(unseen, 1)
    monkeypatch.setattr(guard_module, "_KERNEL", lax)
    monkeypatch.setattr(permit_module, "answer", partial(guard_module.answer, kernel=lax))
    assert _shrinks(unseen, 1)


@pytest.mark.sim
def test_no_wrong_count_takes_a_ramp_on_where_the_right_one_does() -> None:
    at = {rung: counts.at_rung(rung) for rung in RAMP[:-1]}
    onward = 0
    for rung, seed in ((rung, seed) for rung in at for seed in range(CONTROLS // len(at))):
        ramp = at[rung].copy()
        ramp.rng.bit_generator.advance(seed + 1)  # type: ignore[attr-defined] # PCG64 has it
        onward += counts.goes_on(ramp, None)
    every = counts.placed()
    wrong = [fault.name for fault in every if counts.goes_on(at[fault.rung].copy(), fault)]
    print(
        f"evidence faults before promoting: {len(every)}, of which {len(wrong)} went on; "
        f"without a fault {onward} of {CONTROLS} did"
    )
    assert onward >= 0.95 * CONTROLS
    assert len(every) >= 200
    assert not wrong


@pytest.mark.parametrize("how", ["are none", "cover an unknown time"])
@pytest.mark.parametrize("pools", counts.POOLS)
def test_what_nobody_answered_is_no_stretch_and_takes_no_rung(
    how: str, pools: tuple[str, ...]
) -> None:
    fault = counts.Placed(rung=10.0, pools=pools, how=how)
    assert not counts.goes_on(counts.at_rung(10.0), fault)
