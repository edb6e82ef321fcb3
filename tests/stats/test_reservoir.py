"""The reservoir: what it holds of the past, and that it holds rows and not values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.reservoir import Config, chance, entered, enters, held, init, learn

SMALL = Config(size=32, memory=256)


def filled(count: int, config: Config = SMALL, *, at_once: int = 7) -> np.ndarray:
    """Return the times of the rows that are held after `count` rows that say their time."""
    state = init(config, 1, 2)
    times = np.arange(count, dtype=float)
    for first in range(0, count, at_once):
        part = times[first : first + at_once, None, None] * [1.0, 10.0]
        state = learn(config, state, part, np.ones((len(part), 1), dtype=bool))
    rows = state.rows[:, 0]
    assert (rows[:, 1] == 10.0 * rows[:, 0])[np.isfinite(rows[:, 0])].all()
    assert held(config, state)[0] == min(count, config.size)
    return np.sort(rows[np.isfinite(rows[:, 0]), 0])


def test_a_young_reservoir_holds_every_row() -> None:
    assert filled(20).tolist() == list(range(20))
    assert filled(32).tolist() == list(range(32))


def test_an_older_one_is_a_sample_of_the_whole_past() -> None:
    times = filled(16 * 512, Config(size=512, memory=16 * 512))
    assert len(np.unique(times)) == 512
    quarters = np.histogram(times, bins=4, range=(0, 16 * 512))[0]
    # 128 are expected in each, with a standard deviation below 10.
    assert np.abs(quarters - 128).max() < 30


def test_beyond_its_memory_the_past_fades() -> None:
    times = filled(4000)
    share = np.mean(times > 4000 - 256)
    assert 0.4 < share < 0.9  # 1 - 1/e of what is held is one memory old or less
    assert times.min() > 4000 - 256 * 12


@given(st.integers(0, 100_000), st.integers(1, 40))
def test_no_more_rows_enter_than_are_offered_and_as_many_in_parts(count: int, more: int) -> None:
    steps = entered(SMALL, np.arange(count, count + more + 1))
    assert (np.diff(steps) >= 0).all()
    assert (np.diff(steps) <= 1).all()


@given(st.integers(1, 60))
def test_what_is_held_does_not_depend_on_how_many_come_at_once(at_once: int) -> None:
    assert filled(300, at_once=at_once).tolist() == filled(300, at_once=1).tolist()


def test_what_may_not_be_learnt_leaves_no_trace_and_entities_go_by_their_own_count() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((400, 2, 3))
    may = np.stack([np.ones(400, dtype=bool), rng.random(400) < 0.5], axis=1)
    both, alone = init(SMALL, 2, 3), init(SMALL, 1, 3)
    for first in range(0, 400, 16):
        part = slice(first, first + 16)
        both = learn(SMALL, both, rows[part], may[part])
        alone = learn(SMALL, alone, rows[part, 1:], may[part, 1:])
    assert both.offered.tolist() == [400, may[:, 1].sum()]
    assert both.rows[:, 1].tobytes() == alone.rows[:, 0].tobytes()
    forbidden = rows[~may[:, 1], 1, 0].astype(np.float32)
    assert not np.isin(both.rows[:, 1, 0], forbidden).any()


def test_a_call_leaves_the_state_it_was_given_as_it_was() -> None:
    before = init(SMALL, 1, 1)
    learn(SMALL, before, np.ones((4, 1, 1)), np.ones((4, 1), dtype=bool))
    assert np.isnan(before.rows).all()


def test_places_are_spread_evenly() -> None:
    counts = np.bincount(chance(np.arange(32_000)) % 32, minlength=32)
    assert np.abs(counts - 1000).max() < 150


@pytest.mark.parametrize("wrong", [{"size": 8}, {"size": 64, "memory": 32}])
def test_a_reservoir_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="reservoir"):
        Config(**wrong)


@given(st.lists(st.integers(0, 300), min_size=0, max_size=8), st.integers(0, 2**32 - 1))
def test_who_enters_next_is_who_has_entered_more(offered: list[int], seed: int) -> None:
    config = Config(size=32, memory=128)
    before = np.array(offered, dtype=np.int64)
    offers = np.random.default_rng(seed).random(len(offered)) < 0.6
    wanted = entered(config, before + offers) > entered(config, before)
    assert enters(config, before, offers).tolist() == wanted.tolist()
