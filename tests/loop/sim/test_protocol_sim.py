"""The real protocol in a simulated storm: promises hold, and each checker can tell when not."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from protocol_sim.checkers import Violation
from protocol_sim.driver import Report, Run, run
from protocol_sim.mutants import MUTANTS, Mutant
from protocol_sim.options import NO_FAULTS, Mode, Options

from homeostat.base.errors import ProtocolError

SMALL = range(20)  # 30,000 effects: part of every check
BLOCKS, SEEDS_A_BLOCK = 16, 42  # 16 x 42 x 1,500 effects: more than a million
SEEDS_A_MUTANT = 150
INVARIANTS = {  # as named in protocol_sim.checkers
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I11", "I15", "I16", "I17", "TABLE",
}  # fmt: skip
SLOW_NETWORK = replace(NO_FAULTS, delayed=0.5, lost_reply=0.2, lost_request=0.2, abort=0.03)
KINDS = (
    "crash", "pause", "lease stolen", "kill switch", "abort", "foreign write", "read failed",
    "read stale", "request lost", "reply lost", "reply broken", "request doubled", "delayed",
    "claim lost",
)  # fmt: skip


def _run_all(seeds: range) -> Report:
    total = Report()
    for seed in seeds:
        report = run(Options.of(seed))
        total.effects += report.effects
        total.ticks += report.ticks
        total.settle_ticks = max(total.settle_ticks, report.settle_ticks)
        for name in ("faults", "done", "stale", "ends"):
            getattr(total, name).update(getattr(report, name))
    print(
        f"seeds {seeds.start}..{seeds.stop - 1}: {total.effects} effects, "
        f"{sum(total.faults.values())} faults {dict(total.faults.most_common())}, "
        f"{dict(total.done)}, ends {dict(total.ends.most_common())}, "
        f"without compare-and-set {dict(total.stale)}, settled within {total.settle_ticks} ticks"
    )
    return total


def test_thirty_thousand_effects_break_no_promise() -> None:
    total = _run_all(SMALL)
    assert total.effects >= 30_000
    assert set(KINDS) <= set(total.faults), "a fault that never happens proves nothing"


@pytest.mark.sim
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_million_effects_break_no_promise(block: int) -> None:
    first = len(SMALL) + block * SEEDS_A_BLOCK
    total = _run_all(range(first, first + SEEDS_A_BLOCK))
    assert total.effects >= 62_500  # sixteen blocks make a million
    assert set(KINDS) <= set(total.faults)
    assert total.ends["succeeded"] > 100 < total.ends["rolled_back"]


@pytest.mark.parametrize("mode", [Mode.CAS, Mode.CALM])
def test_a_crash_before_every_single_effect_breaks_no_promise(mode: Mode) -> None:
    crashed_in: Counter[str] = Counter()
    for seed, before in product((11, 12), range(100)):
        one = Run(Options(seed=seed, mode=mode, effects=130, faults=SLOW_NETWORK))
        one.crash_before = before
        one.go()
        crashed_in.update(one.crashed_in)
    print(mode, dict(crashed_in))
    flying = sum(n for state, n in crashed_in.items() if state.endswith("in flight"))
    assert flying >= 0.1 * sum(crashed_in.values()), "crashes must hit writes in flight"
    assert {"verifying", "rolling_back with a write in flight"} <= set(crashed_in)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    if mutant.patch is not None:
        mutant.patch(monkeypatch)
    seen: Counter[str] = Counter()
    for seed in range(SEEDS_A_MUTANT):
        try:
            run(Options.of(seed, broken=mutant.broken))
        except Violation as violation:
            seen[violation.invariant] += 1
        except ProtocolError:
            seen["refused by the protocol itself"] += 1
        if mutant.caught_by & set(seen):
            print(f"{mutant.name}: {dict(seen)} within {seed + 1} seeds")
            return
    pytest.fail(f"{mutant.name}: not caught by {sorted(mutant.caught_by)}, only {dict(seen)}")


def test_every_checker_is_tripped_by_a_mutant_of_its_own() -> None:
    alone = {next(iter(m.caught_by)) for m in MUTANTS if len(m.caught_by) == 1}
    assert alone == INVARIANTS


def test_with_compare_and_set_nothing_stale_ever_lands() -> None:
    for seed in SMALL:
        options = Options.of(seed)
        if options.mode.has_cas:
            stale = run(options).stale
            assert not [name for name in stale if name.startswith("stale")]


@pytest.mark.slow
def test_without_compare_and_set_stale_applies_happen_and_are_counted_not_hidden() -> None:
    stale: Counter[str] = Counter()
    for seed in range(3, 163, 4):
        options = Options.of(seed)
        assert options.mode is Mode.WEAK
        stale.update(run(options).stale)  # I7, floors and ceilings, holds here too
    assert stale["stale I4"] > 0


@pytest.mark.slow
def test_readings_that_lie_about_their_age_break_nothing_where_tokens_are_counters() -> None:
    for seed in range(0, 80, 4):
        for lying in (seed, seed + 1):
            options = replace(Options.of(lying), lying_reads=True)
            assert options.mode.has_cas
            run(options)


def test_a_seed_is_one_run_whatever_the_hash_seed() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from protocol_sim.driver import Run\n"
        "from protocol_sim.options import Options\n"
        "from homeostat.base import codec\n"
        "import hashlib\n"
        "for seed in range(4):\n"
        "    run = Run(Options.of(seed)); run.go()\n"
        "    records = [codec.encode(r) for r in run.world.check.actions.values()]\n"
        "    print(hashlib.sha256(b'|'.join(records)).hexdigest(), run.world.now)\n"
    )
    here = str(Path(__file__).parent)
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script, here],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].splitlines())) == 4, "different seeds are different runs"


def test_a_violation_names_the_run_that_repeats_it() -> None:
    broken = frozenset({"act_first"})
    with pytest.raises(Violation, match="before it is durable") as first:
        run(Options.of(0, broken=broken))
    seed = int(first.value.__notes__[0].split("seed=")[1].split(",")[0])
    with pytest.raises(Violation) as second:
        run(Options.of(seed, broken=broken))
    assert str(second.value) == str(first.value)
    assert second.value.__notes__ == first.value.__notes__
