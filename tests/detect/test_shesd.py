"""The streaming Seasonal Hybrid ESD: what it judges by, what teaches it, what it cannot say."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from homeostat.base.units import SECOND
from homeostat.detect.shesd import PART, Config, Shesd, ShesdState
from homeostat.detect.shesd_refit import Fit, install
from homeostat.lab.controller_parts import sense_parts as lab_parts
from homeostat.server.wiring import sense_parts as live_parts
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.esd import Direction, critical_values

SMALL = Config(ring=64, bins=48, refresh=4)


def fed(detector: Shesd, values: Any, *, learn: Any = True, state: ShesdState | None = None) -> Any:
    """Feed `[tick, series]` and return the state, scores and alarms."""
    state = detector.init(np, values.shape[1]) if state is None else state
    scores, alarms = [], []
    mask = np.broadcast_to(np.asarray(learn), values.shape)
    for row, may in zip(values, mask, strict=True):
        state, said = detector.step(np, state, row, may)
        scores.append(said.neg_log10_p)
        alarms.append(said.alarm)
    return state, np.array(scores), np.array(alarms)


def noise(ticks: int, series: int, seed: int = 0) -> Any:
    return 50.0 + np.random.default_rng(seed).standard_normal((ticks, series))


def made(period: int, profile: Any, **other: Any) -> Fit:
    said = {"centre": 50.0, "scale": 1.0, "count": 1000, "neg_log10_p": 9.0, **other}
    return Fit(period=period, profile=np.asarray(profile, dtype=float), **said)


def test_rosners_first_critical_value_is_students_t_with_the_value_outside() -> None:
    n, alpha = 200, 0.05
    critical = critical_values(n, 1, alpha)[0]
    t = stats.t.isf(alpha / (2 * n), n - 2)
    others = np.random.default_rng(1).standard_normal(n - 1)
    value = others.mean() + t * others.std(ddof=1) * np.sqrt(1.0 + 1.0 / (n - 1))
    together = np.append(others, value)
    assert abs(value - together.mean()) / together.std(ddof=1) == pytest.approx(critical)


def test_the_live_and_the_lab_controller_do_not_take_it_yet() -> None:
    for parts in (live_parts(), lab_parts()):
        assert sorted(parts.panel.init().detectors) == ["ewma"]


def test_an_outlier_alarms_and_its_neighbours_do_not() -> None:
    values = noise(300, 3)
    values[250, 1] += 12.0
    _, scores, alarms = fed(Shesd(SMALL), values)
    assert np.argwhere(alarms).tolist() == [[250, 1]]
    assert scores[250, 1] == np.nanmax(scores)


def test_a_lasting_change_is_never_learnt() -> None:
    values = noise(400, 2)
    values[200:, 0] += 20.0
    _, _, alarms = fed(Shesd(SMALL), values)
    assert alarms[200:, 0].all()
    assert not alarms[:, 1].any()


def test_masked_ticks_never_teach() -> None:
    values = noise(300, 1)
    values[:100] -= 20.0  # our own action
    learn = (np.arange(300) >= 100)[:, None]
    _, scores, alarms = fed(Shesd(SMALL), values, learn=learn)
    assert np.isnan(scores[:100]).all()
    assert not alarms.any()
    assert np.isfinite(scores[150:]).all()


def test_a_slow_drift_moves_the_centre_along() -> None:
    values = noise(600, 1) + 0.01 * np.arange(600)[:, None]
    _, _, alarms = fed(Shesd(SMALL), values)
    assert not alarms.any()


def test_rows_wait_for_their_turn_and_all_get_it() -> None:
    for series in (1, 3, 4, 5, 11):
        state, scores, _ = fed(Shesd(SMALL), noise(60, series))
        assert np.isfinite(scores[-1]).all()
        assert (state.count >= 60 - SMALL.refresh).all()


@pytest.mark.parametrize(
    ("direction", "found"),
    [(Direction.BOTH, [100, 200]), (Direction.POS, [100]), (Direction.NEG, [200])],
)
def test_only_the_side_asked_for_alarms(direction: Direction, found: list[int]) -> None:
    values = noise(250, 1)
    values[100] += 12.0
    values[200] -= 12.0
    detector = Shesd(Config(direction=direction))
    state, _, alarms = fed(detector, values)
    assert np.flatnonzero(alarms[:, 0]).tolist() == found
    said = detector.judge(np, state, np.array([50.0]))
    assert np.isfinite([said.low[0], said.high[0]]).tolist() == [
        direction is not Direction.POS,
        direction is not Direction.NEG,
    ]


def test_the_band_is_where_alarms_begin() -> None:
    detector = Shesd(Config())
    state, _, _ = fed(detector, noise(300, 1))
    said = detector.judge(np, state, np.array([50.0]))
    for edge, outwards in ((said.low[0], -1.0), (said.high[0], 1.0)):
        inside, outside = edge - outwards * 1e-3, edge + outwards * 1e-3
        assert not detector.judge(np, state, np.array([inside])).alarm[0]
        assert detector.judge(np, state, np.array([outside])).alarm[0]


def test_half_the_values_alike_is_unknown_because_there_is_no_spread() -> None:
    values = np.zeros((200, 1))
    values[::3] = 5.0
    _, scores, alarms = fed(Shesd(SMALL), values)
    assert np.isnan(scores).all()
    assert not alarms.any()


@pytest.mark.parametrize("level", [0.0, 1e9, -1e-9])
def test_the_level_does_not_drown_the_noise(level: float) -> None:
    values = noise(300, 1) - 50.0 + level
    values[280] += 15.0
    _, _, alarms = fed(Shesd(SMALL), values)
    assert np.flatnonzero(alarms[:, 0]).tolist() == ([280] if abs(level) < 1e6 else [])


def test_a_season_moves_what_is_expected() -> None:
    detector = Shesd(SMALL)
    profile = np.array([0.0, 10.0, 20.0, -30.0])
    state = install(detector.init(np, 2), [0], [made(4, profile)])
    for tick in range(9):
        said = detector.judge(np, state, np.full(2, 50.0))
        middle = 0.5 * (said.low[0] + said.high[0])
        assert middle == pytest.approx(50.0 + profile[tick % 4], abs=1e-4)
        assert np.isnan(said.neg_log10_p[1])
        state, _ = detector.step(np, state, np.full(2, np.nan), True)


def test_a_season_longer_than_the_profile_is_averaged_into_it() -> None:
    tick = np.arange(480)
    profile = 20.0 * np.sin(2.0 * np.pi * tick / 480)
    detector = Shesd(SMALL)
    state = install(detector.init(np, 1), [0], [made(480, profile)])
    rows = state._asdict() | {"phase": tick}
    wide = ShesdState(**{
        name: part if name in {"turn", "phase"} else np.broadcast_to(part, (*part.shape[:-1], 480))
        for name, part in rows.items()
    })
    assert np.abs(detector.season(np, wide) - profile).max() < 0.1


def test_phase_goes_on_through_silence() -> None:
    detector = Shesd(SMALL)
    state = install(detector.init(np, 1), [0], [made(4, [0.0, 100.0, 0.0, 0.0])])
    state, _, _ = fed(detector, np.full((5, 1), np.nan), state=state)
    assert detector.judge(np, state, np.array([150.0])).neg_log10_p[0] < 1.0
    assert detector.judge(np, state, np.array([50.0])).alarm[0]


def test_a_restarted_row_knows_nothing_and_its_neighbour_all() -> None:
    detector = Shesd(SMALL)
    state, _, _ = fed(detector, noise(100, 2))
    state = install(state, [0, 1], [made(4, np.zeros(4))] * 2)
    again = detector.restart(np, state, np.array([True, False]))
    said = detector.judge(np, again, np.array([50.0, 50.0]))
    assert np.isnan(said.neg_log10_p).tolist() == [True, False]


def test_a_checkpoint_goes_on_bit_for_bit() -> None:
    detector = Shesd(SMALL)
    state, _, _ = fed(detector, noise(80, 3))
    read = from_bytes(to_bytes(state), [ShesdState])
    ours, theirs = (
        fed(detector, noise(40, 3, 1), state=state),
        fed(detector, noise(40, 3, 1), state=read),
    )
    assert to_bytes(ours[0]) == to_bytes(theirs[0])
    assert np.array_equal(ours[1], theirs[1], equal_nan=True)


def test_a_series_costs_what_is_said_and_fits_with_room_for_the_rest_of_the_stack() -> None:
    config = Config()
    state = Shesd(config).init(np, 10)
    assert sum(part.nbytes for part in state if part.ndim) == 10 * config.bytes_per_series
    assert config.bytes_per_series <= 7 * 1024  # of 8 KiB; the EWMA chart takes 200 bytes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": 0.0}, "alpha must be in"),
        ({"season_alpha": 1.0}, "season_alpha must be in"),
        ({"ring": 10}, "ring must hold the warmup of 20, got 10"),
        ({"bins": 1}, "bins must be at least 2, got 1"),
        ({"max_anoms": 0.5}, "max_anoms must be in"),
        ({"doubt": 0.0}, "doubt must be above 0"),
        ({"hints": (24, 1)}, "hints must be at least 2 ticks"),
    ],
)
def test_impossible_settings_name_themselves(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**wrong)


def test_the_default_horizon_is_a_day_of_the_default_tick() -> None:
    assert Config().horizon * 15 * SECOND == 86_400 * SECOND
    assert PART.name == "shesd"
