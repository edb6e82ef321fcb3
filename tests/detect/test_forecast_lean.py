"""The forecasters' short ways are their long ways: the old way as plain functions, to the bit."""

import math
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patient_by_hand import REPLICAS, Patient, world

from homeostat.base import names
from homeostat.detect import breach, demand_capacity, forecast_young
from homeostat.detect.demand import Points
from homeostat.detect.demand_outlook import Config, Outlook
from homeostat.detect.demand_pending import PLACES, Pending
from homeostat.detect.forecast_quantiles import at
from homeostat.detect.usual import Device

HORIZONS = st.lists(st.integers(1, 60), min_size=1, max_size=3, unique=True).map(sorted)
SEEDS = st.integers(0, 2**32 - 1)


def same(one: Any, other: Any) -> bool:
    """Whether two trees of arrays are alike to the bit."""
    if isinstance(one, tuple):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    a, b = np.asarray(one), np.asarray(other)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(HORIZONS, st.integers(0, 500), SEEDS)
def test_what_is_put_down_is_where_it_would_be_written_over_everything(
    horizons: list[int], tick: int, seed: int
) -> None:
    pending, rng = Pending(horizons), np.random.default_rng(seed)
    kept, new = rng.random((len(horizons), PLACES, 2, 4)), rng.random((len(horizons), 2, 4))
    before = kept.copy()
    stride = np.asarray(pending.strides)
    now = (tick % stride == 0)[:, None] & (
        np.arange(PLACES)[None, :] == ((tick // stride) % PLACES)[:, None]
    )
    assert same(
        pending.put(np, kept, new, tick), np.where(now[..., None, None], new[:, None], kept)
    )
    assert same(kept, before)
    assert pending.idle(np, tick) == (not pending.due(np, np.asarray(tick))[0].any())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_tick_on_which_nobody_is_judged_is_as_if_all_were_looked_at(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outlook = Outlook(Config(horizons=(5, 17, 40), levels=(0.05, 0.5, 0.95)))
    short = long = outlook.init(np, 8)
    limit = np.where(np.arange(8) < 7, 14.0, np.nan)
    for _ in range(160):
        values = 10.0 + rng.standard_normal(8) * 2.0
        values[rng.random(8) < 0.1] = np.nan
        held = rng.random(8) < 0.95
        short, said = outlook.step(np, short, values, held, limit)
        with patch.object(Pending, "idle", lambda *_: False):
            long, expected = outlook.step(np, long, values, held, limit)
        assert same(tuple(said), tuple(expected))
    assert same(short, long)
    assert (short.breach.came > 0.0).any()  # something was judged at all


def opinions(one: breach.Breach, state: breach.BreachState, raw: Any, points: Points) -> Any:
    """What each opinion says, horizon by horizon."""
    out = []
    for head, table in enumerate(state.excess):
        away = np.clip((state.limit - points.peak[head]) / points.scale, -1e9, 1e9)
        rarity = one.tables.neg_log10_p(np, table, away)
        seen = 10.0 ** -np.where(np.isfinite(rarity), rarity, 0.0)
        size, stride = one.config.table.size, one.pending.strides[head]
        later = max(one.config.horizons[head] / max(one.config.table.block, stride), 1.0)
        replaced = np.maximum(table.entered - size, 0) / float(size)
        overlap = later + max(PLACES - later, 0.0) * np.exp(-replaced)
        low, middle, high = at(np, table, (0.16, 0.5, 0.84))
        z = np.clip((away - middle) / np.maximum((high - low) / 2.0, 1e-9), -1e6, 1e6)
        heavy = 0.5 * (1.0 - z / np.sqrt(2.0 + z * z))
        there = np.minimum(table.entered, size)
        chance = ((there + 1.0) * seen + (overlap - 1.0) * heavy) / (there + overlap)
        beyond = np.where(raw > state.limit, 1.0, 0.0)
        number = sum(((chance > edge) + 0.0 for edge in (0.01, 0.03, 0.1, 0.3, 0.6)), 0.0 * chance)
        mine = number[None] == np.arange(6)[:, None]
        usual = beyond[None] == np.arange(2)[:, None]
        told = [chance]
        for came, whose in ((state.came[head, :6], mine), (state.came[head, 6:], usual)):
            outcomes = np.sum(np.where(whose, came[:, 0], 0.0), axis=0)
            breaches = np.sum(np.where(whose, came[:, 1], 0.0), axis=0)
            told.append((breaches + 8.0 * chance) / (outcomes + 8.0))
        known = np.isfinite(rarity) & np.isfinite(raw)
        out.append(np.where(known, np.stack([*told, beyond]), np.nan))
    return np.stack(out)


@pytest.mark.slow
def test_all_horizons_at_once_say_what_each_says_by_itself() -> None:
    rng, one = np.random.default_rng(5), breach.Breach(breach.Config(horizons=(5, 17, 40)))
    state, limit, known = one.init(np, 8), np.full(8, 13.0), 0
    for _ in range(400):
        raw = 10.0 + rng.standard_normal(8) * 2.0
        raw[rng.random(8) < 0.05] = np.nan
        peak = 11.0 + rng.standard_normal((3, 8))
        points = Points(at=peak, peak=peak, scale=1.0 + rng.random(8), weights=None)
        state, _ = one.step(np, state, raw, limit, points, rng.random(8) < 0.98)
        said = one._opinions(np, state, raw, points)
        assert same(said, opinions(one, state, raw, points))
        known += int(np.isfinite(said).sum())
    assert known > 1_000


@given(st.lists(st.floats(0.25, 300.0), min_size=2, max_size=3, unique=True).map(sorted), SEEDS)
def test_all_moments_at_once_are_what_each_is_by_itself(steps: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    state = forecast_young.YoungState(
        sum=rng.random(8), ticks=np.ones(8), count=np.arange(4.0, 12.0),
        level=rng.standard_normal(8), trend=0.05 * rng.standard_normal(8),
        spread2=0.1 * rng.random(8),
    )  # fmt: skip
    limit = np.where(np.arange(8) < 7, 50.0, np.nan)
    seen = forecast_young.seen(np, state, limit, tuple(steps))
    sigma = np.sqrt(np.maximum(state.spread2, 0.01**2))
    known = (state.count >= forecast_young.LEAST) & np.isfinite(limit)
    chance = middle = wide = np.zeros(8)
    for head, (before, reach) in enumerate(pairwise([0.0, *steps])):
        for look in range(1, 7):
            ahead = before + (reach - before) * look / 6
            middle = state.level + forecast_young._sum(ahead) * state.trend
            wide = sigma * forecast_young._width(ahead)
            t = -middle / wide
            share = t / np.sqrt(4.0 + t * t)
            chance = np.maximum(chance, 0.5 - 0.75 * (share - share**3 / 3.0))
        assert same(seen.chance[head], np.where(known, chance, np.nan))
        for part, k in ((seen.at, 0.0), (seen.low, -2.132), (seen.high, 2.132)):
            value = forecast_young._value(np, middle + k * wide, limit)
            assert same(part[head], np.where(known, value, np.nan))


@given(st.lists(st.sampled_from((None, 0.5, 4.0, 8.0, 64.0)), min_size=3, max_size=3))
def test_capacity_is_the_sum_over_the_replicas(caps: list[float | None]) -> None:
    patient, device = Patient(), Device(size=1.4, time=35.0, slope=3.5)
    for name, cap in zip(REPLICAS[:3], caps, strict=True):
        patient.set(names.replica(name), names.BATCH_MAX, cap)
    found = demand_capacity.capacity_rps(patient.readings, world(), device, "a", 250.0)
    expected: float | None = 0.0
    for cap in caps:
        if cap is None or cap < 1.0 or expected is None:
            expected = None
            continue
        batch = demand_capacity.largest_in_time(device, 3.5, cap, 250.0)
        expected += 1000.0 * batch / device.expected(batch)
    assert found == expected
    assert found is None or math.isfinite(found)
