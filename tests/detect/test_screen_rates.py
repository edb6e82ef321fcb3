"""How rarely a score is reached: conformal among the highest scores of past stretches."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.screen_rates import Config, Rates

SMALL = Config(blocks=64, shortest=4, longest=16, least=16)


def _play(scores: Any, config: Config = SMALL, learn: Any = None) -> tuple[Any, Any]:
    rates = Rates(config)
    rows = scores.shape[1]
    state, out = rates.init(np, rows), np.empty(scores.shape)
    for tick, one in enumerate(scores):
        may = np.ones(rows, dtype=bool) if learn is None else learn[tick]
        state, out[tick] = rates.step(np, state, one, may)
    return state, out


def _sizes(state: Any) -> Any:
    return Rates(SMALL).tables.sizes(np, state.table.scores)


def _blocks_hit(p: Any, ticks: int, level: float) -> float:
    """Return the share of stretches of so many ticks in which some p is at or below the level."""
    whole = p[: len(p) // ticks * ticks].reshape(-1, ticks, p.shape[1])
    return float((np.nanmax(whole, axis=1) >= -np.log10(level)).mean())


@pytest.mark.parametrize("phi", [0.0, 0.9])
@pytest.mark.parametrize("level", [0.2, 0.05])
def test_one_stretch_in_twenty_is_called_one_in_twenty(phi: float, level: float) -> None:
    draw = np.random.default_rng(1)
    noise = draw.standard_t(3, size=(1200, 40))
    for tick in range(1, len(noise)):
        noise[tick] += phi * noise[tick - 1]
    even = Config(blocks=64, shortest=16, longest=16, least=16)
    _, p = _play(np.abs(noise), even)
    hit = _blocks_hit(p[400:], 16, level)
    # Three standard errors of 2,000 stretches, and one place of a table of 25 blocks at least.
    assert level / 3.0 < hit <= level + 3.0 * np.sqrt(level / 2000.0) + 0.01


def test_an_episode_enters_once_however_long_it_lasts() -> None:
    scores = np.abs(np.random.default_rng(2).normal(size=(700, 1)))
    scores[500:560] = 50.0
    state, p = _play(scores)
    assert (_sizes(state) == 50.0).sum() == 1
    assert p[500, 0] == p[559, 0] > 1.5


def test_what_comes_again_and_again_becomes_normal() -> None:
    scores = np.abs(np.random.default_rng(3).normal(size=(3000, 1)))
    scores[400::50] = 30.0
    _, p = _play(scores)
    assert p[400, 0] > 1.8
    assert p[2950, 0] < 0.7


def test_what_may_not_be_learnt_never_enters() -> None:
    scores = np.abs(np.random.default_rng(4).normal(size=(400, 2)))
    scores[200:220] = 50.0
    learn = np.ones(scores.shape, dtype=bool)
    learn[200:220, 0] = False
    state, _ = _play(scores, learn=learn)
    assert (_sizes(state) == 50.0).sum(axis=0).tolist() == [0, 1]


def test_silence_is_unknown_and_teaches_nothing() -> None:
    scores = np.abs(np.random.default_rng(5).normal(size=(300, 1)))
    gap = np.insert(scores, [150] * 40, np.nan, axis=0)
    with_gap, p = _play(gap)
    without, q = _play(scores)
    assert np.isnan(p[150:190]).all()
    np.testing.assert_array_equal(np.delete(p, np.s_[150:190], axis=0), q)
    np.testing.assert_array_equal(with_gap.table.scores, without.table.scores)


def test_one_row_does_not_know_of_another() -> None:
    scores = np.abs(np.random.default_rng(6).normal(size=(400, 3)))
    scores[100:300, 0] = np.nan
    _, together = _play(scores)
    _, alone = _play(scores[:, 1:2])
    np.testing.assert_array_equal(together[:, 1:2], alone)


def test_a_row_that_starts_anew_has_forgotten() -> None:
    scores = np.abs(np.random.default_rng(7).normal(size=(200, 2)))
    state, _ = _play(scores)
    rates = Rates(SMALL)
    state = rates.restart(np, state, np.array([True, False]))
    _, p = rates.step(np, state, np.array([1.0, 1.0]), np.ones(2, dtype=bool))
    assert np.isnan(p[0])
    assert np.isfinite(p[1])


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"blocks": 4}, "size"), ({"shortest": 9, "longest": 8}, "shortest"), ({"rare": 0.0}, "rare")],
)
def test_blocks_that_cannot_work_are_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**settings)


@pytest.mark.parametrize(("shortest", "longest"), [(4, 128), (3, 3), (1, 1000)])
def test_blocks_double_each_time_the_table_was_filled(shortest: int, longest: int) -> None:
    rates = Rates(Config(blocks=16, least=8, shortest=shortest, longest=longest))
    entered = np.array([0, 1, 15, 16, 31, 32, 47, 48, 16 * 29, 16 * 40, 10**9], dtype=np.int32)
    state = rates.init(np, len(entered))
    state = state._replace(table=state.table._replace(entered=entered))
    wanted = np.minimum(shortest * 2.0 ** np.minimum(entered // 16, 30), longest)
    found = rates._ticks(np, state)
    assert found.tolist() == wanted.tolist()
    assert found.dtype == wanted.dtype


def test_a_tick_without_the_end_of_a_block_is_judged_as_one_with_it() -> None:
    """Rows of one pace are judged beside a row whose blocks end at every tick, and alone."""
    chance = np.random.default_rng(4)
    rates, fast = Rates(Config(blocks=16, least=8)), 3
    alone, beside = rates.init(np, fast), rates.init(np, fast + 1)
    for _ in range(300):
        # Blocks of the last row would be four ticks too; this lets one end at every tick.
        beside = beside._replace(age=np.append(beside.age[:fast], 200.0))
        scores = np.abs(chance.standard_normal(fast + 1))
        scores[chance.random(fast + 1) < 0.05] = np.nan
        learn = np.append(np.full(fast, chance.random() < 0.9), True)
        alone, ours = rates.step(np, alone, scores[:fast], learn[:fast])
        beside, theirs = rates.step(np, beside, scores, learn)
        assert np.array_equal(ours, theirs[:fast], equal_nan=True)
        for one, other in zip(alone[1:], beside[1:], strict=True):
            assert one.tolist() == other[:fast].tolist()
        assert np.array_equal(alone.table.scores, beside.table.scores[:, :fast])


def test_the_logarithm_that_is_kept_is_that_of_the_mean_block() -> None:
    scores = np.abs(np.random.default_rng(8).normal(size=(900, 5)))
    scores[np.random.default_rng(9).random(scores.shape) < 0.2] = np.nan
    state, _ = _play(scores)
    assert len(set(state.length.tolist())) > 1
    np.testing.assert_array_equal(state.log10_length, np.log10(state.length))
