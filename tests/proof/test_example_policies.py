"""The policies that ship: the good ones are proved, each bad one is refuted by the real guards."""

from functools import cache
from pathlib import Path

import pytest

from homeostat.proof.verify import Result
from homeostat.report.policy_page import page
from homeostat.report.policy_words import rotation_after, timeline
from homeostat.server.prover import prove
from homeostat.server.proving import subjects
from homeostat.testing.guard_scene import PATIENT_MS

FOLDER = Path(__file__).parents[2] / "examples" / "policies"
GOOD = sorted((FOLDER / "good").glob("*.yaml"))
BAD = sorted((FOLDER / "bad").glob("*.yaml"))
# What each bad policy was written to break, among what else it may break.
BROKEN = {
    "blind": {"blind", "foreseen", "shrinks-seeing"},
    "last-but-one": {"fewer than four"},
    "no-way-back": {"undo-possible", "rollback-possible"},
    "one-by-one": {"three replicas in half an hour"},
    "trap": {"healing-possible", "capacity-possible"},
    "yo-yo": {"taken while others are on their way"},
}


@cache
def verdicts(path: Path) -> dict[str, Result]:
    (subject,) = subjects([path])
    return {result.name: result for result in prove(subject, PATIENT_MS)}


@pytest.mark.slow
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_policy_is_proved(path: Path) -> None:
    found = verdicts(path)
    assert {result.verdict for result in found.values()} == {"proved"}


@pytest.mark.slow
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_policy_is_refuted_by_the_real_guards(path: Path) -> None:
    found = verdicts(path)
    refuted = {name for name, result in found.items() if result.verdict == "refuted"}
    assert refuted == BROKEN[path.stem]
    assert {result.verdict for result in found.values()} == {"proved", "refuted"}
    for name in refuted:
        assert found[name].replayed
        assert timeline(found[name].counterexample)
    assert path.stem in page([(path.stem, list(found.values()))], "0")


@pytest.mark.slow
def test_without_its_rule_concurrency_may_shrink_three_times_in_half_an_hour(
    tmp_path: Path,
) -> None:
    text = (FOLDER / "good" / "two-an-hour.yaml").read_text()
    rule = """    - name: two smaller an hour
      kinds: [resize_down]
      require: shrunk < 2
"""
    assert rule in text
    loose = tmp_path / "loose.yaml"
    loose.write_text(text.replace(rule, ""))
    found = verdicts(loose)
    refuted = {name for name, result in found.items() if result.verdict == "refuted"}
    assert refuted == {"three resizes in half an hour"}
    assert found["three resizes in half an hour"].replayed


@pytest.mark.slow
def test_a_chain_hangs_together_and_fits_into_its_window() -> None:
    found = verdicts(FOLDER / "bad" / "one-by-one.yaml")
    steps = found["three replicas in half an hour"].counterexample
    assert len(steps) == 3
    assert rotation_after(steps[-1]) == steps[0].rotation - 3
    assert steps[-1].drawn.at_ms - steps[0].drawn.at_ms < 30 * 60 * 1000
    assert [a.rotation for a in steps[1:]] == [rotation_after(b) for b in steps[:-1]]


def test_there_are_enough_of_both_and_each_bad_one_names_its_outage() -> None:
    assert len(GOOD) >= 3
    assert {path.stem for path in BAD} == set(BROKEN)
    assert len(BAD) >= 5
    assert all("# The outage: " in path.read_text(encoding="utf-8") for path in BAD)
