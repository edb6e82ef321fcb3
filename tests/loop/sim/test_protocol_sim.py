"""The real protocol and guard in a simulated storm: promises hold, and each checker can tell."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from protocol_sim import shell
from protocol_sim.chance import ALL_KINDS
from protocol_sim.driver import How, Report, Run, i13_determinism, run, shrunk, traced
from protocol_sim.memory import Violation
from protocol_sim.mutants import Mutant, first_caught
from protocol_sim.mutants_first import ALL_MUTANTS as MUTANTS
from protocol_sim.options import NO_FAULTS, Mode, Options

from homeostat.base.actions import Action
from homeostat.base.guard import Deny, GuardAnswer, GuardState
from homeostat.base.units import TimeNs
from homeostat.safety.guard import guard

SMALL = range(12)  # 19,000 effects: part of every check
BLOCKS = 16
# A tenth of a minute of one core buys 150,000; `make sim` asks for 100 million.
EFFECTS = int(os.environ.get("SIM_EFFECTS", "5000000"))
INVARIANTS = {f"I{number}" for number in range(1, 21)} | {"UNDO", "TABLE"}
SLOW_NETWORK = replace(NO_FAULTS, delayed=0.5, lost_reply=0.2, lost_request=0.2, request_abort=0.03)
STATES = {
    "intent with a write in flight", "verifying", "rolling_back with a write in flight",
}  # fmt: skip


def _told(what: str, total: Report) -> None:
    print(
        f"{what}: {total.effects} effects, {sum(total.faults.values())} faults of "
        f"{len(total.faults)} kinds {dict(total.faults.most_common())}, {dict(total.done)}, "
        f"ends {dict(total.ends.most_common())}, checked {dict(total.checked)}, "
        f"without compare-and-set {dict(total.stale)}, settled within {total.settle_ticks} ticks"
    )


def test_there_are_more_than_forty_kinds_of_faults() -> None:
    assert len(ALL_KINDS) >= 40


def test_some_effects_break_no_promise_and_with_compare_and_set_nothing_stale_lands() -> None:
    total = Report()
    for seed in SMALL:
        options = Options.of(seed)
        report = run(options)
        total.add(report)
        if options.mode.has_cas:
            assert not [name for name in report.stale if name.startswith("stale")]
    _told("a part of every check", total)
    assert total.effects >= 18_000
    assert len(ALL_KINDS - set(total.faults)) <= 8, "a fault that never happens proves nothing"
    assert total.checked["I19"] > 10 < total.checked["I20"], "some replicas had a batch first"


@pytest.mark.sim
@pytest.mark.parametrize("block", range(BLOCKS))
def test_five_million_effects_break_no_promise(block: int) -> None:
    total = Report()
    for seed in count(len(SMALL) + block * 1_000_000):
        if total.effects >= EFFECTS // BLOCKS:
            break
        total.add(run(Options.of(seed)))
    _told(f"block {block}", total)
    assert set(total.faults) == ALL_KINDS, "a fault that never happens proves nothing"
    assert sum(total.faults.values()) >= total.effects // 50  # 100,000 in five millions
    assert total.ends["succeeded"] > 100 < total.ends["rolled_back"]
    checked = ("I6", "I8", "I10", "I11", "I12", "I14", "I19", "I20")
    assert all(total.checked[name] > 100 for name in checked)


@pytest.mark.sim
@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("mode", [Mode.CAS, Mode.CALM])
def test_the_failure_of_every_single_effect_breaks_no_promise(mode: Mode, how: How) -> None:
    failed_in: Counter[str] = Counter()
    story = _story(mode)
    for number in range(story.effects):
        one = Run(story)
        one.fail_at = (number, how)
        one.go()
        failed_in.update(one.failed_in)
    print(story.seed, mode, how, dict(failed_in))
    assert set(failed_in) >= STATES


@pytest.mark.sim
@pytest.mark.parametrize("how", How)
def test_the_failure_of_every_single_effect_leaves_no_batch_on_some_only(how: How) -> None:
    story, checked = _story(Mode.HOST, first=True), Counter[str]()
    for number in range(story.effects):
        one = Run(story)
        one.fail_at = (number, how)
        one.go()
        checked.update(one.world.memory.checked)
    assert checked["I19"] > story.effects // 2 < checked["I20"]


def _story(mode: Mode, *, first: bool = False) -> Options:
    """Return the first short run that spends some time in each of the states that matter."""
    stories = (
        Options(seed=seed, mode=mode, effects=130, faults=SLOW_NETWORK, first=first)
        for seed in count()
    )
    return next(story for story in stories if _lives_in_all(story))


def _lives_in_all(story: Options) -> bool:
    one = Run(story)
    one.go()
    done = one.world.memory.actions.values()
    to_all = any(record.action.first and record.stage for record in done)
    return all(one.lived_in[state] >= 12 for state in STATES) and (to_all or not story.first)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_mutant_is_caught(mutant: Mutant) -> None:
    caught = first_caught(mutant)
    assert caught is not None, f"{mutant.name}: not caught by {sorted(mutant.caught_by)}"
    print(f"{mutant.name}: {caught.invariant} within {caught.seeds} seeds")


def test_there_are_thirty_mutants_and_every_checker_has_one_of_its_own() -> None:
    alone = {next(iter(m.caught_by)) for m in MUTANTS if len(m.caught_by) == 1}
    assert alone == INVARIANTS - {"I13"}, "I13 compares two runs and has its test below"
    assert len(MUTANTS) >= 30


def test_one_seed_is_one_log_and_chance_from_elsewhere_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(4):
        i13_determinism(Options.of(seed, effects=400))
    asked = [0]

    def moody(action: Action, state: GuardState, now: TimeNs, *, undo: bool) -> GuardAnswer:
        asked[0] += 1
        if asked[0] > 10:  # of the first run; none of the second
            return Deny(reasons=("G0 mood: no",))
        return guard(action, state, now, undo=undo)

    monkeypatch.setattr(shell, "real_guard", moody)
    with pytest.raises(Violation, match="I13"):
        i13_determinism(Options.of(0, effects=400))


@pytest.mark.slow
def test_without_compare_and_set_stale_applies_happen_and_are_counted_not_hidden() -> None:
    stale: Counter[str] = Counter()
    for seed in range(3, 123, 4):
        options = Options.of(seed)
        assert options.mode is Mode.WEAK
        stale.update(run(options).stale)  # I7, floors and ceilings, holds here too
        if stale["stale I4"] > 0:
            return
    pytest.fail(f"no write ever landed late, only {dict(stale)}")


@pytest.mark.slow
def test_readings_that_lie_about_their_age_break_nothing_where_tokens_are_counters() -> None:
    for seed in range(0, 20, 4):
        for lying in (seed, seed + 1):
            options = replace(Options.of(lying), lying_reads=True)
            assert options.mode.has_cas
            run(options)


def test_a_seed_is_one_run_whatever_the_hash_seed() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from protocol_sim.driver import Run\n"
        "from protocol_sim.options import Options\n"
        "for seed in range(4):\n"
        "    run = Run(Options.of(seed, effects=500)); run.go(); print(run.digest())\n"
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


def test_a_violation_names_the_run_that_repeats_it_in_short() -> None:
    options = Options.of(0, broken=frozenset({"act_first"}))
    with pytest.raises(Violation, match="before it is durable") as first:
        run(options)
    assert first.value.__notes__ == [f"repeat with {options!r}"]
    short = shrunk(options)
    assert short.effects < options.effects
    with pytest.raises(Violation, match="before it is durable"):
        run(short)
    lines = traced(short).splitlines()
    assert lines[0] == repr(short)
    assert "before it is durable" in lines[-1]
    assert any(" append " in line for line in lines), "the trace shows what was done"
