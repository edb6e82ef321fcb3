"""Made-up key figures and bursts: the same of a seed, labelled where they are, and judged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_a_seed_makes_the_same_key_figures_and_bursts() -> None:
    from detection.synthetic_bursty import bursty  # noqa: PLC0415 - found by the fixture above
    from detection.synthetic_key_figures import key_figures  # noqa: PLC0415

    makers: tuple[Callable[[int], Any], ...] = (
        lambda seed: key_figures(4, seed=seed, ticks=3000),
        lambda seed: bursty(4, seed=seed),
    )
    for make in makers:
        first, again, other = make(3), make(3), make(4)
        for one, two, third in zip(first, again, other, strict=True):
            np.testing.assert_array_equal(one.values, two.values)
            assert one.events == two.events
            assert one.values.shape != third.values.shape or (one.values != third.values).any()
            assert np.isfinite(one.values).mean() > 0.99
            assert one.events
            assert all(0 < a <= b < len(one.values) for a, b in one.events)


def test_a_score_that_knows_the_onsets_is_worth_all_and_one_that_is_flat_nothing() -> None:
    from detection import judging, ranked, sets  # noqa: PLC0415 - found by the fixture above
    from detection.synthetic_bursty import bursty  # noqa: PLC0415

    if not (sets.SHARED / "tools" / "adscore.py").is_file():
        pytest.skip("the scorer is not beside the checkout")
    made = ranked._short(bursty(8, seed=3))
    knows = np.zeros(made.labels.shape)
    for number in range(8):
        for begin, _ in judging.scorer().ranges(made.labels[:, number]):
            knows[begin, number] = 1.0
    assert ranked._as_numenta(made, knows)["event F1"] == 1.0
    assert ranked._as_numenta(made, knows)["standard"] > 80.0
    assert ranked._as_numenta(made, 0.0 * knows)["event F1"] == 0.0
    assert ranked.before().seldom == float("inf")
