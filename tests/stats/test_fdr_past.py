"""Blocks ranked in the fleet's past: honest on average, deaf to what recurs, silent while young."""

from typing import Any

import numpy as np
import pytest

from homeostat.stats.fdr_past import Config, FleetPast, Past, size

SERIES = 200
LAWS = {
    "normal": lambda rng: np.abs(rng.standard_normal(SERIES)) / 4.0,
    # Jumps now and then, as large as they like.
    "jumps": lambda rng: (
        np.abs(rng.standard_normal(SERIES)) / 4.0
        + (rng.random(SERIES) < 0.01) * np.abs(rng.standard_t(3, SERIES)) * 2.0
    ),
}


def _seen(blocks: int, law: str = "normal", seed: int = 3) -> tuple[FleetPast, Past, Any]:
    rng, past = np.random.default_rng(seed), FleetPast(Config())
    state, said = past.init(SERIES), []
    for _ in range(blocks):
        sizes = LAWS[law](rng)
        said.append(past.neg_log10_p(state, sizes))
        state = past.learn(state, sizes, np.zeros(SERIES, dtype=bool))
    return past, state, np.array(said)


@pytest.mark.parametrize("law", LAWS)
def test_healthy_blocks_are_called_rare_no_more_often_than_they_are(law: str) -> None:
    _, _, said = _seen(400, law)
    known = said[np.isfinite(said)]
    for level in (1e-2, 1e-3, 1e-4):
        allowed = level + 3.0 * np.sqrt(level / known.size)
        assert (known >= -np.log10(level)).mean() <= allowed


def test_a_block_unlike_any_is_rarer_than_the_fleet_is_large() -> None:
    past, state, _ = _seen(60)
    sizes = np.full(SERIES, 0.2)
    sizes[7] = 8.0
    said = past.neg_log10_p(state, sizes)
    assert said[7] > np.log10(state.counts.sum()) + 1.0
    assert np.delete(said, 7).max() < 1.0


def test_what_a_series_does_again_and_again_is_no_news() -> None:
    past, state, _ = _seen(60)
    rng, heard = np.random.default_rng(9), []
    for block in range(80):
        sizes = LAWS["normal"](rng)
        sizes[7] = 5.0 if block % 10 == 0 else sizes[7]
        said = past.neg_log10_p(state, sizes)
        rejected = said > 5.0
        heard.append(bool(rejected[7]))
        state = past.learn(state, sizes, rejected)
    assert heard[0]
    assert sum(heard) <= 2


def test_what_was_rejected_teaches_the_fleet_nothing() -> None:
    past, state, _ = _seen(60)
    sizes = np.full(SERIES, 0.2)
    sizes[:20] = 8.0
    rejected = sizes > 1.0
    after = past.learn(state, sizes, rejected)
    assert after.counts.sum() == state.counts.sum() + SERIES - 20
    assert after.peaks.max() == state.peaks.max()


def test_a_young_fleet_and_a_young_series_are_unknown() -> None:
    past, state, said = _seen(20)
    assert np.isnan(said[: Config().least]).all()
    state = past.restart(state, np.arange(SERIES) < 3)
    _, old, _ = _seen(60)
    mixed = past.restart(old, np.arange(SERIES) < 3)
    fresh = past.neg_log10_p(mixed, np.full(SERIES, 9.0))
    assert np.isnan(fresh[:3]).all()
    assert (fresh[3:] > 1.0).all()
    assert np.isnan(past.neg_log10_p(old, np.full(SERIES, np.nan))).all()


def test_less_than_half_a_block_is_no_block_and_missing_ticks_count_nothing() -> None:
    errors = np.zeros((16, 3))
    errors[4:11, 0] = 1e6
    errors[:, 1], errors[:10, 1] = -3.0, np.nan
    errors[:, 2] = np.nan
    np.testing.assert_allclose(size(errors), [0.0, 3.0, np.nan])
    np.testing.assert_allclose(size(np.array([[1.0], [2.0], [4.0], [np.nan]])), [2.0])
    np.testing.assert_allclose(size(np.array([[1.0], [2.0], [4.0], [7.0]])), [3.0])


@pytest.mark.parametrize(
    ("bad", "name"), [({"least": 1}, "least"), ({"fleet": 5}, "fleet"), ({"memory": 0.0}, "memory")]
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**bad)
