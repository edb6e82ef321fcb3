"""The evaluation on numbers made by hand: who is set against whom, and what is refused."""

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from homeostat.lab.evaluation import MEASURES, evaluate
from homeostat.report.lab_evaluation import WORDS, markdown, rows, to_json

SCENARIOS, SEEDS = 12, 4


def scores(better: float = 0.0, *, seeds: int = SEEDS, first: int = 0, shuffle: int = 0) -> Any:
    """Return scores of a policy that is better than nothing by so many hourly budgets an hour."""
    keys = [(f"S{n:02}", first + s) for n in range(SCENARIOS) for s in range(seeds)]
    chance = np.random.default_rng(7)
    noise = chance.normal(size=len(keys))
    order = np.random.default_rng(shuffle).permutation(len(keys)) if shuffle else range(len(keys))
    keys, noise = [keys[at] for at in order], noise[list(order)]
    full = np.full(len(keys), 7200.0)
    return SimpleNamespace(
        scenario=tuple(name for name, _ in keys),
        seed=tuple(seed for _, seed in keys),
        value=2.0 * (noise + better),
        service=SimpleNamespace(
            watched_s=full, violation_s=0.1 * full, failed=full / 100, offered=full,
            usd=np.where(better, 3.0, 2.0) * full,
        ),
        people=SimpleNamespace(minutes=full / 60.0),
        judgement=SimpleNamespace(catastrophic=np.arange(len(keys)) % 8 == 0),
    )  # fmt: skip


def test_a_difference_that_is_there_is_found_and_measured_per_hour() -> None:
    found = evaluate({"hold": scores(), "good": scores(0.5)}, "hold")
    pair = {one.measure: one for one in found.pairs}
    assert pair["gain"].difference[0] == pytest.approx(0.5)
    assert pair["gain"].corrected < 0.01
    assert pair["spend"].difference[0] == pytest.approx(0.5)
    assert pair["violation"].difference[0] == 0.0
    assert pair["violation"].corrected == 1.0
    line = {(one.policy, one.measure): one for one in found.lines}
    assert line["good", "gain"].mean[0] == pytest.approx(0.5)
    assert line["good", "violation"].middle is not None
    assert line["good", "violation"].mean[0] == pytest.approx(6.0)
    assert line["good", "caused"].middle is None
    assert (found.scenarios, found.seeds) == (SCENARIOS, SEEDS)


def test_episodes_are_paired_by_name_not_by_place() -> None:
    with pytest.raises(ValueError, match="good played other episodes than hold did"):
        evaluate({"hold": scores(), "good": scores(0.5, shuffle=3)}, "hold")


def test_what_cannot_be_compared_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="hold was not played"):
        evaluate({"good": scores(0.5)}, "good")
    with pytest.raises(ValueError, match="threshold was not played"):
        evaluate({"hold": scores()}, "threshold")
    with pytest.raises(ValueError, match="other episodes"):
        evaluate({"hold": scores(), "good": scores(0.5, first=1)}, "hold")


def test_every_p_value_is_corrected_for_all_that_were_asked() -> None:
    three = evaluate({"hold": scores(), "a": scores(0.3), "b": scores(0.3)}, "hold")
    two = evaluate({"hold": scores(), "a": scores(0.3)}, "hold")
    assert len(three.pairs) == 2 * len(two.pairs) == 2 * len(MEASURES)
    assert all(one.corrected >= one.p for one in three.pairs)


def test_one_seed_has_no_interval_and_says_so_nowhere_as_a_number() -> None:
    found = evaluate({"hold": scores(seeds=1), "good": scores(0.5, seeds=1)}, "hold")
    # But for a share, which has the exact interval of as many trials.
    assert all(math.isnan(one.mean[1]) for one in found.lines if one.measure != "caused")
    assert json.loads(to_json(found))["lines"][0]["mean"][1:] == [None, None]
    assert "nan" not in markdown(found)


def test_what_never_happened_may_still_happen() -> None:
    found = evaluate({"hold": never(scores()), "good": never(scores(0.5))}, "hold")
    line = {(one.policy, one.measure): one for one in found.lines}
    value, low, high = line["good", "caused"].mean
    assert (value, low) == (0.0, 0.0)
    assert high == pytest.approx(1.0 - 0.025 ** (1.0 / (SCENARIOS * SEEDS)))  # exact, of no event
    pair = {one.measure: one for one in found.pairs}
    assert math.isnan(pair["caused"].difference[1])


def never(some: Any) -> Any:
    some.judgement.catastrophic[:] = False
    return some


def test_the_page_has_a_row_for_each_policy_and_the_meaning_of_each_measure() -> None:
    found = evaluate({"hold": scores(), "good": scores(0.5)}, "hold")
    text = markdown(found)
    assert set(WORDS) == set(MEASURES)
    assert all(word.means in text for word in WORDS.values())
    lines = [line for line in text.splitlines() if line.startswith("| good |")]
    assert len(lines) == 2  # its figures, and its differences
    assert "+" not in lines[0]
    assert len(rows(found)) == 2 * len(MEASURES)
    assert text.count("| hold |") == 1
