"""p-values that are honest for every distribution, tables that are guarded, sorted and stored."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import BySeason, Config, Conformal, Table, _chance

SMALL = Conformal(Config(size=16, block=2, least=5))


def fed(tables: Conformal, ticks: Any) -> Table:
    """Return tables that have learnt from ticks `[tick, series]`."""
    state = tables.init(np, ticks.shape[1])
    for row in ticks:
        state = tables.learn(np, state, row, True)
    return state


@given(
    st.lists(st.integers(-3, 3), min_size=5, max_size=16),
    st.integers(-4, 4),
)
def test_a_p_value_is_the_share_that_is_at_least_as_large(past: list[int], new: int) -> None:
    state = fed(SMALL, np.array(past, dtype=float)[:, None])
    score = SMALL.neg_log10_p(np, state, np.array([float(new)]))[0]
    counted = (1 + sum(one >= new for one in past)) / (1 + len(past))
    if new <= max(past) or len(past) < 8:
        assert 10.0**-score == pytest.approx(counted)
    else:
        assert 10.0**-score <= counted * (1.0 + 1e-12)


@settings(max_examples=30)
@given(st.lists(st.integers(-50, 50), min_size=20, max_size=80))
def test_a_table_stays_sorted_full_and_made_of_what_was_learnt(values: list[int]) -> None:
    state = fed(SMALL, np.array(values, dtype=float)[:, None])
    table = state.scores[:, 0]
    assert (np.diff(table) >= 0.0).all()
    assert np.isfinite(table).all()
    for one in table:
        assert np.count_nonzero(table == one) <= values.count(int(one))


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "lognormal", "ties"])
@pytest.mark.parametrize("ticks", [40, 140])
def test_p_values_are_super_uniform_on_exchangeable_scores(shape: str, ticks: int) -> None:
    """Young tables and ones in which most entries were replaced."""
    rng, series = np.random.default_rng(1), 10_000
    draws = rng.standard_normal((ticks + 1, series))
    scores = {"normal": draws, "lognormal": np.exp(draws), "ties": np.round(draws)}[shape]
    tables = Conformal(Config(size=64, block=1, least=10))
    said = tables.neg_log10_p(np, fed(tables, scores[:-1]), scores[-1])
    for level in (0.5, 0.2, 0.05, 1.0 / 41.0, 0.005, 0.001):
        share = (said >= -np.log10(level) - 1e-9).mean()
        assert share <= level + 3.0 * np.sqrt(level / series), (level, share)
    assert (said >= 1.0).mean() > 0.03  # honest, not silent


@pytest.mark.slow
def test_replacing_keeps_a_random_sample_of_the_past_and_forgets() -> None:
    tables = Conformal(Config(size=64, block=1, least=10))
    age = np.repeat(np.arange(1000.0)[:, None], 3, axis=1)
    age[:, 1] *= -1.0  # the same past in the other order of sizes
    kept = np.abs(fed(tables, age).scores)
    assert kept.min() > 300.0  # (63/64)^700 of 64 entries: one in a thousand tables
    assert 999.0 in kept[:, 0]
    assert kept.mean() == pytest.approx(1000.0 - 64.0, abs=4.0 * 64.0 / 8.0)


def test_what_may_not_enter_changes_nothing() -> None:
    state = fed(SMALL, np.zeros((10, 3)))
    bad = np.array([9.0, np.nan, np.inf])
    after = SMALL.learn(np, state, bad, np.array([False, True, True]))
    assert np.array_equal(after.scores, state.scores)
    assert np.array_equal(after.entered, state.entered)
    said = SMALL.neg_log10_p(np, state, bad)
    assert np.isnan(said).tolist() == [False, True, True]


def test_a_young_table_knows_nothing() -> None:
    state = fed(SMALL, np.zeros((4, 1)))
    assert np.isnan(SMALL.neg_log10_p(np, state, np.zeros(1))[0])


def test_a_full_table_takes_one_score_in_a_block() -> None:
    state = fed(SMALL, np.zeros((16, 2)))
    entered = []
    for tick in range(6):
        state = SMALL.learn(np, state, np.ones(2), np.array([True, tick != 1]))
        entered.append(state.entered.tolist())
    assert [row[0] - 16 for row in entered] == [0, 1, 1, 2, 2, 3]
    assert [row[1] - 16 for row in entered] == [0, 0, 1, 1, 2, 2]


def test_beyond_the_table_rarer_is_further_and_continuous_at_the_top() -> None:
    tables = Conformal(Config())
    rng = np.random.default_rng(2)
    state = fed(tables, np.abs(rng.standard_normal((512, 1))))
    top = float(state.scores[-1, 0])
    said = [
        float(tables.neg_log10_p(np, state, np.array([x]))[0])
        for x in (top, np.nextafter(np.float32(top), np.float32(9.0)), 5.0, 8.0, 40.0)
    ]
    assert said[0] == pytest.approx(np.log10(513.0 / 2.0))
    assert said[1] == pytest.approx(np.log10(513.0), abs=1e-3)
    assert said[1] < said[2] < said[3] < said[4] < 40.0


def test_a_series_restarts_alone() -> None:
    state = SMALL.restart(np, fed(SMALL, np.zeros((10, 2))), np.array([True, False]))
    assert np.isnan(SMALL.neg_log10_p(np, state, np.zeros(2))).tolist() == [True, False]


def test_parts_of_a_season_have_their_own_tables() -> None:
    seasonal = BySeason(Config(size=16, least=5), 2)
    state = seasonal.init(np, 1)
    for tick in range(20):
        state = seasonal.learn(np, state, tick % 2, np.array([10.0 * (tick % 2)]), True)
    low = seasonal.neg_log10_p(np, state, 0, np.array([10.0]))
    high = seasonal.neg_log10_p(np, state, 1, np.array([10.0]))
    assert low[0] == pytest.approx(np.log10(11.0), abs=1e-6)
    assert high[0] == pytest.approx(0.0)


def test_a_stored_table_goes_on_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    ticks = rng.standard_normal((40, 4))
    state = fed(SMALL, ticks[:25])
    stored = from_bytes(to_bytes(state), [Table])
    for row in ticks[25:]:
        ours, theirs = SMALL.neg_log10_p(np, state, row), SMALL.neg_log10_p(np, stored, row)
        assert ours.tobytes() == theirs.tobytes()
        allowed = row > -1.0
        state = SMALL.learn(np, state, row, allowed)
        stored = SMALL.learn(np, stored, row, allowed)
    assert to_bytes(state) == to_bytes(stored)


@pytest.mark.slow
def test_jax_keeps_the_same_table() -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    rng = np.random.default_rng(4)
    ours, theirs = SMALL.init(np, 8), SMALL.init(jnp, 8)
    for _ in range(30):
        row = rng.standard_normal(8).astype(np.float32)
        a, b = SMALL.neg_log10_p(np, ours, row), SMALL.neg_log10_p(jnp, theirs, jnp.asarray(row))
        assert np.allclose(a, np.asarray(b), atol=1e-3, equal_nan=True)
        ours = SMALL.learn(np, ours, row, row > -1.0)
        theirs = SMALL.learn(jnp, theirs, jnp.asarray(row), jnp.asarray(row > -1.0))
    assert np.array_equal(ours.scores, np.asarray(theirs.scores))


@pytest.mark.parametrize("wrong", [{"size": 8}, {"block": 0}, {"least": 0}])
def test_a_table_that_cannot_work_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"conformal: {next(iter(wrong))} must"):
        Config(**wrong)


def test_a_season_without_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="buckets"):
        BySeason(Config(), 0)


def plainly_below(table: Any, new: Any) -> Any:
    """Return how many entries of each table are smaller, one table after the other."""
    return np.array([np.searchsorted(table[:, at], one) for at, one in enumerate(new)])


def plainly_learnt(tables: Conformal, state: Table, scores: Any, allowed: Any) -> Table:
    """Return what `Conformal.learn` returns, one table after the other."""
    size, block = tables.config.size, tables.config.block
    after = Table(state.scores.copy(), state.entered.copy(), state.wait.copy())
    for at, one in enumerate(np.asarray(scores, dtype=np.float32)):
        before = int(state.entered[at])
        due = before < size or state.wait[at] + 1 >= block
        if not (np.isfinite(one) and allowed[at] and due):
            after.wait[at] += 1
            continue
        drop = 0 if before < size else int(_chance(np, state.entered[at : at + 1])[0]) % size
        after.scores[:, at] = np.sort([*np.delete(state.scores[:, at], drop), one])
        after.entered[at], after.wait[at] = before + 1, 0
    return after


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 40, 90]),
    st.sampled_from([16, 140, 300]),
    st.sampled_from([0.02, 0.6, 1.0]),
)
def test_tables_filled_at_once_are_those_filled_one_by_one(
    seed: int, series: int, size: int, share: float
) -> None:
    """Few and many series, some restarted, young and full: whichever way is taken is the same."""
    rng = np.random.default_rng(seed)
    tables = Conformal(Config(size=size, block=2, least=5))
    state = tables.init(np, series)
    ages = rng.integers(0, 2 * size, series) if rng.random() < 0.7 else np.full(series, size // 3)
    for tick in range(int(ages.max(initial=0))):
        state = tables.learn(np, state, rng.integers(0, 40, series).astype(float), tick < ages)
    state = tables.restart(np, state, rng.random(series) < 0.1)
    for _ in range(4):
        scores = rng.choice([0.0, 3.0, 7.0, 39.0, 50.0, np.nan, np.inf], series)
        finite = np.where(np.isfinite(scores), scores, 0.0).astype(np.float32)
        below = tables.below(np, state, finite)
        assert below.tolist() == plainly_below(state.scores, finite).tolist()
        allowed = rng.random(series) < share
        plain = plainly_learnt(tables, state, scores, allowed)
        before = to_bytes(state)
        after = tables.learn(np, state, scores, allowed)
        assert to_bytes(after) == to_bytes(plain)
        assert to_bytes(state) == before
        state = after


def test_a_narrow_table_says_what_a_wide_one_says_but_for_ties_and_is_half_as_large() -> None:
    """Full tables and young ones, a few series at a time and many, some of which learn nothing."""
    for series in (3, 40):
        chance = np.random.default_rng(series)
        wide, narrow = (Conformal(Config(size=64, block=2, narrow=one)) for one in (False, True))
        first, second = wide.init(np, series), narrow.init(np, series)
        off = np.zeros(0)
        for _ in range(300):
            scores = np.abs(chance.standard_t(3, series))
            scores[chance.random(series) < 0.05] = np.nan
            one, other = wide.neg_log10_p(np, first, scores), narrow.neg_log10_p(np, second, scores)
            np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
            off = np.append(off, np.abs(one - other)[np.isfinite(one)])
            may = chance.random(series) < 0.9
            first = wide.learn(np, first, scores, may)
            second = narrow.learn(np, second, scores, may)
        assert 2 * second.scores.nbytes == first.scores.nbytes
        np.testing.assert_allclose(narrow.sizes(np, second.scores), first.scores, rtol=0.0005)
        assert (off > 1e-12).mean() < 0.1
        assert off.mean() < 0.002


@pytest.mark.parametrize("narrow", [False, True])
def test_a_new_score_among_its_equals_is_no_rarer_than_they_are(*, narrow: bool) -> None:
    tables = Conformal(Config(size=16, block=1, least=4, narrow=narrow))
    state = tables.init(np, 1)
    for _ in range(16):
        state = tables.learn(np, state, np.array([3.3]), True)
    assert tables.neg_log10_p(np, state, np.array([3.3])).tolist() == [0.0]
