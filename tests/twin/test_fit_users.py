"""Synthetic users with known parameters: intervals hold what they promise, and nothing is biased.

Every user is a batching server played batch by batch, all users side by side; what is recorded of
it is noisy, has holes and gross errors. The generator shares no code with what it tests.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from homeostat.twin import fit, fit_frame
from homeostat.twin.fit_estimate import Known, unknown

USERS = 240
FEW = 48  # for the short form; what is asked of them is as wide as chance makes it
ROWS = 160
STEP_S = 100.0


@dataclass(frozen=True, kw_only=True)
class Users:
    """True parameters [users], and the recordings."""

    tau0_s: np.ndarray
    alpha_s: np.ndarray
    cv2: np.ndarray
    limit: np.ndarray
    frames: tuple[fit_frame.Frame, ...]


@cache
def users() -> Users:
    chance = np.random.default_rng(20240607)
    tau0 = np.exp(chance.uniform(np.log(0.6), np.log(2.0), USERS))
    alpha = tau0 * np.exp(chance.uniform(np.log(0.03), np.log(0.4), USERS))
    cv2 = np.exp(chance.uniform(np.log(0.05), np.log(0.8), USERS))
    limit = chance.choice([4, 8, 16], USERS)
    capacity = limit / (tau0 + alpha * limit)
    rates = capacity[:, None] * _loads(chance)
    arrivals = _arrivals(chance, rates)
    tables = _play(chance, arrivals, tau0, alpha, cv2, limit)
    frames = tuple(
        _recorded(chance, arrivals[u], tables[0][u], tables[1][u], tables[2][u], int(limit[u]))
        for u in range(USERS)
    )
    return Users(tau0_s=tau0, alpha_s=alpha, cv2=cv2, limit=limit, frames=frames)


def _loads(chance: np.random.Generator) -> np.ndarray:
    """Return loads that rise and fall over the recording [users, rows]."""
    phase = chance.uniform(0, 2 * np.pi, (USERS, 1))
    cycles = chance.uniform(1.5, 4.0, (USERS, 1))
    wave = np.sin(phase + 2 * np.pi * cycles * np.arange(ROWS) / ROWS)
    wander = 0.08 * chance.standard_normal((USERS, ROWS))
    return np.clip(0.47 + 0.35 * wave + wander, 0.05, 0.88)


def _arrivals(chance: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    """Return Poisson arrival times [users, most], inf after the last."""
    counts = chance.poisson(rates * STEP_S)
    most = int(counts.sum(axis=1).max())
    out = np.full((USERS, most + 17), np.inf)
    for u in range(USERS):
        row = np.repeat(np.arange(ROWS), counts[u])
        out[u, : len(row)] = np.sort((row + chance.random(len(row))) * STEP_S)
    return out


def _play(
    chance: np.random.Generator,
    arrivals: np.ndarray,
    tau0: np.ndarray,
    alpha: np.ndarray,
    cv2: np.ndarray,
    limit: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start, size and time of every batch [users, batches]; size 0 after the last."""
    everyone, ahead = np.arange(USERS), np.arange(limit.max())
    inside = ahead[None] < limit[:, None]
    served, free = np.zeros(USERS, int), np.zeros(USERS)
    deviation = np.sqrt(np.log1p(cv2))
    starts, sizes, times = [], [], []
    while True:
        window = np.where(inside, arrivals[everyone[:, None], served[:, None] + ahead], np.inf)
        start = np.maximum(free, window[:, 0])
        live = np.isfinite(start)
        if not live.any():
            break
        size = np.where(live, (window <= start[:, None]).sum(axis=1), 0)
        noise = deviation * chance.standard_normal(USERS) - deviation**2 / 2
        took = (tau0 + alpha * size) * np.exp(noise)
        free = np.where(live, start + took, free)
        served = served + size
        starts.append(start)
        sizes.append(size)
        times.append(took)
    return tuple(np.array(each).T for each in (starts, sizes, times))  # type: ignore[return-value]


def _recorded(
    chance: np.random.Generator,
    arrivals: np.ndarray,
    start: np.ndarray,
    size: np.ndarray,
    took: np.ndarray,
    limit: int,
) -> fit_frame.Frame:
    """Return what is recorded of one user: means and quantiles of rows, noisy and with holes."""
    real = size > 0
    start, size, took = start[real], size[real], took[real]
    latency = np.repeat(start + took, size) - arrivals[: size.sum()]
    edges = np.arange(ROWS + 1) * STEP_S
    of_batch = np.clip(np.digitize(start + took, edges) - 1, 0, ROWS)
    of_request = np.clip(np.digitize(arrivals[: size.sum()], edges) - 1, 0, ROWS)
    number = np.bincount(of_batch, minlength=ROWS + 1)[:ROWS]
    served = np.bincount(of_batch, size, minlength=ROWS + 1)[:ROWS]
    busy = np.bincount(of_batch, took, minlength=ROWS + 1)[:ROWS]
    came = np.bincount(of_request, minlength=ROWS + 1)[:ROWS]
    held = np.bincount(of_request, latency, minlength=ROWS + 1)[:ROWS]
    quantiles = np.array([
        np.quantile(latency[of_request == k], [0.5, 0.95, 0.99]) if came[k] else [np.nan] * 3
        for k in range(ROWS)
    ])
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "request_rate": came / STEP_S,
            "throughput": served / STEP_S,
            "batch_size": served / number,
            "service_s": busy / number,
            "latency_p50_s": quantiles[:, 0],
            "latency_p95_s": quantiles[:, 1],
            "latency_p99_s": quantiles[:, 2],
            "in_flight": held / STEP_S,
        }
    noisy = {name: _noisy(chance, values) for name, values in columns.items()}
    noisy["batch_limit"] = np.full(ROWS, float(limit))
    return fit_frame.frame(
        source="user", sha256="0" * 64, time_s=STEP_S * np.arange(1.0, ROWS + 1), columns=noisy
    )


def _noisy(chance: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Return values with 1 % of noise, 1 % of holes, and one in 200 ten times too large."""
    values = values * np.exp(0.01 * chance.standard_normal(ROWS))
    values = np.where(chance.random(ROWS) < 0.005, 10.0 * values, values)
    return np.where(chance.random(ROWS) < 0.01, np.nan, values)


NAMES = ("tau0_s", "alpha_s", "cv2")


@cache
def judged(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each interval holds the truth, and log(value / truth) [count, 3]."""
    made = users()
    held, off = np.zeros((count, 3), bool), np.zeros((count, 3))
    for u, recorded in enumerate(made.frames[:count]):
        # Latencies add nothing to what times of batches say; without them, no curve is compiled.
        kept = {n: v for n, v in recorded.columns.items() if not n.startswith("latency")}
        estimates = fit.fit(replace(recorded, columns=kept), fit.Options(seed=u)).estimates
        for k, (name, true) in enumerate(
            zip(NAMES, (made.tau0_s[u], made.alpha_s[u], made.cv2[u]), strict=True)
        ):
            one = estimates[name]
            held[u, k] = one.low <= true <= one.high
            off[u, k] = np.log(one.value / true)
    return held, off


EVERYONE = [
    pytest.param(FEW, marks=pytest.mark.slow),
    pytest.param(USERS, marks=pytest.mark.long),
]


@pytest.mark.parametrize("count", EVERYONE)
def test_nine_in_ten_intervals_hold_the_truth_no_less_and_no_more(count: int) -> None:
    held, _ = judged(count)
    # As wide as chance makes it: the three of one user are taken for one and a half.
    room = 0.05 if count == USERS else 0.08
    assert abs(held.mean() - 0.9) <= room
    # Of 240 users, 90 % is seen as 85.5 to 94.5 % in 98 of 100 cases, of 48 as 80 to 100 %; cv2
    # counts the noise in.
    assert (held.mean(axis=0) > (0.82 if count == USERS else 0.76)).all(), held.mean(axis=0)


@pytest.mark.parametrize("count", EVERYONE)
def test_nothing_is_biased_by_more_than_a_few_per_cent(count: int) -> None:
    _, off = judged(count)
    wide = 1.0 if count == USERS else (USERS / FEW) ** 0.5
    assert np.abs(np.median(off[:, :2], axis=0)).max() < 0.02 * wide
    assert abs(np.median(off[:, 2])) < 0.08 * wide


@pytest.mark.slow
def test_latencies_do_not_move_a_law_that_batches_show() -> None:
    recorded = users().frames[0]
    kept = {n: v for n, v in recorded.columns.items() if not n.startswith("latency")}
    without = fit.fit(replace(recorded, columns=kept)).theta
    assert fit.fit(recorded).theta == pytest.approx(without, rel=0.01)


@pytest.mark.slow
def test_intervals_from_latencies_alone_hold_the_truth_and_are_called_weak() -> None:
    made, held = users(), []
    for u in range(32):
        recorded = made.frames[u]
        kept = {n: v for n, v in recorded.columns.items() if n.startswith("latency")}
        kept |= {n: recorded.columns[n] for n in ("request_rate", "batch_limit")}
        frame = replace(recorded, columns=kept)
        try:
            core = fit._core(frame, float(made.limit[u]), 1.0, u)  # what is held back says no more
        except fit_frame.NotIdentifiedError:
            continue  # few requests a row: no quantile of it is worth a look
        estimates = fit._estimates(frame, core, unknown("ca2", "", "not asked for"), u)
        for name, truth in zip(NAMES, (made.tau0_s, made.alpha_s, made.cv2), strict=True):
            one = estimates[name]
            assert one.known is Known.WEAK
            held.append(one.low <= truth[u] <= one.high)
    assert len(held) > 60
    assert 0.85 <= np.mean(held) <= 0.98  # three of one user are not independent of each other
