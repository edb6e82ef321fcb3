"""What a fitted model says of rows, against the same worked out another way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.detect import pca_model
from homeostat.detect.pca_model import Model, bounded, fit, scaled, score, tamed
from homeostat.stats import covariance
from homeostat.stats.arrays import to_bytes

COLUMNS, ROWS = 6, 512


def reservoir(seed: int = 1, *, noise: float = 0.3) -> Any:
    """Return rows `[entity, row, column]` of one entity that two factors move."""
    rng = np.random.default_rng(seed)
    loads = np.array([[1.0, 1.0, 1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0, 1.0, -1.0]])
    rows = rng.standard_normal((ROWS, 2)) @ loads + noise * rng.standard_normal((ROWS, COLUMNS))
    return rows[None] * 5.0 + 40.0


def fitted(rows: Any) -> Model:
    level, spread, moves = scaled(rows)
    blank = pca_model.init(*rows.shape[::2])._replace(level=level, spread=spread, moves=moves)
    off = np.moveaxis(pca_model.clipped(blank, rows), 1, 0)
    moments = covariance.learn(np, covariance.init(np, 1, COLUMNS), off, 1e6)
    return fit(rows, moments, np.array([ROWS]), explained=0.95)


MODEL = fitted(reservoir())
NEW = reservoir(2)


def standardised(rows: Any) -> Any:
    off = (rows - MODEL.level) / MODEL.spread
    return (np.sign(off) * bounded(np.abs(off)) - MODEL.centre) / MODEL.width


def correlation() -> Any:
    return np.linalg.inv(MODEL.precision[0])


def test_what_is_apart_is_the_error_of_the_regression_on_all_others() -> None:
    unit, own = standardised(NEW[0]), correlation()
    found = score(MODEL, NEW).apart[0]
    for column in range(COLUMNS):
        others = np.delete(np.arange(COLUMNS), column)
        slope = np.linalg.solve(own[np.ix_(others, others)], own[others, column])
        error = np.abs(unit[:, column] - unit[:, others] @ slope)
        ratio = found[:, column] / error
        assert np.allclose(ratio, ratio[0])  # in the column's own unit, which the past gives
        assert 0.5 < error.std() * ratio[0] < 1.5


def test_a_missing_column_changes_nothing_when_it_is_where_the_others_say() -> None:
    gone = NEW.copy()
    gone[:, :, 2] = np.nan
    unit, own = standardised(NEW[0]), correlation()
    others = np.delete(np.arange(COLUMNS), 2)
    slope = np.linalg.solve(own[np.ix_(others, others)], own[others, 2])
    there = unit[:, others] @ slope * MODEL.width[0, 2] + MODEL.centre[0, 2]
    near = np.abs(there) < 3.0  # where a deviation is not bounded, it can be undone
    filled = NEW.copy()
    filled[0, :, 2] = there * MODEL.spread[0, 2] + MODEL.level[0, 2]
    ours, theirs = score(MODEL, gone), score(MODEL, filled)
    assert np.allclose(ours.distances[0, near, 1], theirs.distances[0, near, 1])
    assert np.allclose(ours.apart[0][near][:, others], theirs.apart[0][near][:, others])
    assert (ours.distances[0, near, 0] <= theirs.distances[0, near, 0] + 1e-9).all()
    assert np.isnan(ours.deviations[0, :, 2]).all()


def test_hotelling_has_as_many_degrees_of_freedom_as_components() -> None:
    distances = score(MODEL, NEW).distances[0]
    assert MODEL.kept[0] == 2.0
    assert 1.6 < distances[:, 1].mean() < 2.4
    # One for each column, less where the components leave next to nothing.
    assert 0.6 * COLUMNS < distances[:, 0].mean() < 1.2 * COLUMNS


def test_what_fits_the_components_is_load_and_what_does_not_is_error() -> None:
    along = MODEL.looks[0, :, 2 * COLUMNS :] @ np.eye(COLUMNS)[0]
    across = np.linalg.eigh(correlation())[1][:, 0]
    calm = MODEL.level[0] + MODEL.centre[0] * MODEL.spread[0]
    size = MODEL.spread[0] * MODEL.width[0]
    rows = np.stack([calm + 2.5 * along / np.linalg.norm(along) * size, calm + 2.5 * across * size])
    q, t2 = score(MODEL, rows[None]).distances[0].T
    assert q[0] < 0.1 < t2[0]
    assert t2[1] < 0.1 < q[1]


def test_heavy_tails_and_regular_jobs_do_not_make_the_spread_small() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((1, ROWS, 3))
    rows[0, :, 1] = rng.standard_t(2, ROWS)
    rows[0, ::100, 2] += 50.0
    level, spread, moves = scaled(rows)
    assert moves.all()
    assert np.abs(level).max() < 0.3
    assert spread[0, 0] < 1.3
    assert spread[0, 1] > 1.5
    assert spread[0, 2] > 5.0


def test_constant_columns_do_not_move_and_young_ones_are_unknown() -> None:
    rows = np.full((1, ROWS, 3), 1e9)
    rows[0, :, 0] += np.arange(ROWS) % 2 * 1e-3  # rounding
    rows[0, 20:, 2] = np.nan
    level, spread, moves = scaled(rows)
    assert not moves.any()
    assert np.isnan(level).tolist() == [[False, False, True]]
    assert (spread > 0.0).all()


@given(st.floats(0.0, 1e15), st.floats(0.0, 1e15))
def test_bounded_keeps_the_order(one: float, other: float) -> None:
    low, high = bounded(np.array(sorted([one, other])))
    assert low <= high <= max(one, other)
    assert bounded(np.array([one]))[0] == one or one > 3.0


def test_no_value_is_learnt_as_farther_off_than_the_reach() -> None:
    rows = np.full((2, 1, COLUMNS), np.nan)
    rows[0, 0, 0], rows[0, 0, 1], rows[1, 0, 2] = 1e9, MODEL.level[0, 1], -1e9
    learnt = tamed(MODEL, rows, 30.0)
    reach = 30.0 * MODEL.spread[0]
    assert learnt[0, 0, 0] == MODEL.level[0, 0] + reach[0]
    assert learnt[0, 0, 1] == MODEL.level[0, 1]
    assert learnt[1, 0, 2] == MODEL.level[0, 2] - reach[2]
    assert np.isnan(learnt).sum() == np.isnan(rows).sum()
    young = MODEL._replace(moves=~MODEL.moves, level=MODEL.level * np.nan)
    assert np.array_equal(tamed(young, rows, 30.0), rows, equal_nan=True)


def plain_spread(rows: Any) -> tuple[Any, Any]:
    """Return median and widest spread of rows `[entity, row, column]`, sorted as they are."""
    ordered = np.sort(rows, axis=1)
    last = np.maximum(np.isfinite(ordered).sum(axis=1) - 1, 0)

    def quantile(share: float) -> Any:
        place = np.rint(share * last).astype(np.int64)[:, None]
        return np.take_along_axis(ordered, place, axis=1)[:, 0]

    wide = [(quantile(b) - quantile(a)) / sigmas for a, b, sigmas in pca_model._RANGES]
    return quantile(0.5), np.max(wide, axis=0)


def plainly_calibrated(model: Model, rows: Any) -> Model:
    """Return what `fit` makes of a model whose scores are not yet in units of their own past."""
    seen = score(model, rows)
    off = np.abs(pca_model.deviations(model, rows))
    _, alone = plain_spread(np.concatenate([seen.apart, -seen.apart], axis=1))
    looks = model.looks.copy()
    looks[:, :, rows.shape[2] : 2 * rows.shape[2]] /= np.maximum(alone, 1.0)[:, None]
    usual, unrest = plain_spread(np.log1p(seen.distances))
    return model._replace(
        looks=looks,
        farthest=np.where(np.isfinite(off), off, 0.0).max(axis=1),
        usual=np.where(np.isfinite(usual), usual, 0.0),
        unrest=np.where(unrest > pca_model._ROUNDING, unrest, 1.0),
    )


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from([0, 3, 63, 64, 130, 447, 512]), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.01, 0.3]),
)
def test_empty_rows_of_a_reservoir_can_be_left_out_to_the_last_bit(
    seed: int, held: list[int], gaps: float
) -> None:
    chance = np.random.default_rng(seed)
    rows = np.concatenate([reservoir(seed + place) for place in range(len(held))])
    rows[chance.random(rows.shape) < gaps] = np.nan
    rows[:, :, 4] = np.where(chance.random() < 0.5, 7.0, rows[:, :, 4])
    for place, count in enumerate(held):
        rows[place, count:] = np.nan
    rows = np.moveaxis(np.ascontiguousarray(np.moveaxis(rows, 1, 0)), 0, 1)  # as a reservoir's
    scale = scaled(rows)
    level, spread, moves = scale
    blank = pca_model.init(*rows.shape[::2])._replace(level=level, spread=spread, moves=moves)
    off = np.moveaxis(pca_model.clipped(blank, rows), 1, 0)
    moments = covariance.learn(np, covariance.init(np, len(held), COLUMNS), off, 1e6)
    most = pca_model.filled_rows(np.array(held), ROWS)
    assert most >= max(held)
    short = rows[:, :most]
    assert to_bytes(scaled(short)) == to_bytes(scale)
    with np.errstate(invalid="ignore"):
        whole = fit(rows, moments, np.array(held), explained=0.9)
        less = fit(short, moments, np.array(held), explained=0.9, scale=scale, left_out=ROWS - most)
        assert to_bytes(less) == to_bytes(whole)
        plain = pca_model.init(*rows.shape[::2])._replace(
            **{name: getattr(whole, name) for name in ("level", "spread", "moves", "centre")},
            width=whole.width, kept=whole.kept, precision=whole.precision, looks=raw_looks(whole),
        )  # fmt: skip
        calibrated = pca_model._calibrated(plain, short, ROWS - most)
        assert to_bytes(calibrated) == to_bytes(plainly_calibrated(plain, rows))


def raw_looks(model: Model) -> Any:
    """Return looks of which every column's distance from all others is three times as large."""
    looks = model.looks.copy()
    looks[:, :, COLUMNS : 2 * COLUMNS] *= 3.0
    return looks
