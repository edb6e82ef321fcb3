"""Fitting the twin: what is known is found, what is not is said, and hostile input is refused."""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from homeostat.base.errors import ConfigError
from homeostat.twin import (
    check,
    fit,
    fit_bootstrap,
    fit_file,
    fit_law,
    fit_moments,
    fit_plan,
    fit_vllm,
)
from homeostat.twin.fit_estimate import Known
from homeostat.twin.fit_frame import (
    FitInputError,
    Frame,
    NotIdentifiedError,
    frame,
    from_csv,
    joined,
)
from homeostat.twin.fit_region import region

LOGS = Path(__file__).parents[3] / "shared" / "data" / "traces" / "vllm_profile"
TAU0, ALPHA, CV2 = 0.02, 0.002, 0.3


def recording(rows: int = 400, seed: int = 1, **more: np.ndarray) -> Frame:
    """Return rows of a server whose law is known; means of a row scatter as cv2 says."""
    chance = np.random.default_rng(seed)
    batch = np.clip(np.exp(chance.uniform(0.0, np.log(16.0), rows)), 1.0, 16.0)
    service = TAU0 + ALPHA * batch
    number = np.full(rows, 200.0)
    mean = service * (1.0 + np.sqrt(CV2 / number) * chance.standard_normal(rows))
    columns = {
        "batch_size": batch,
        "service_s": mean,
        "throughput": number * batch / 60.0,
        "request_rate": number * batch / 60.0,
        "replicas": np.ones(rows),
        "batch_limit": np.full(rows, 16.0),
    }
    return made(columns | more)


def made(columns: dict[str, np.ndarray], step_s: float = 60.0) -> Frame:
    rows = len(next(iter(columns.values())))
    times = step_s * np.arange(1.0, rows + 1)
    return frame(source="test", sha256="0" * 64, time_s=times, columns=columns)


@cache
def vllm(*scales: int) -> Frame:
    if not LOGS.is_dir():
        pytest.skip(f"the published vLLM logs are not at {LOGS}")
    names = [f"vllm_log_scale{scale}_prompt500.csv" for scale in scales]
    return joined([fit_vllm.from_log((LOGS / name).read_bytes(), name) for name in names])


# The law


def test_a_known_law_lies_in_its_interval_and_the_interval_is_narrow() -> None:
    found = fit.fit(recording())
    for name, true in (("tau0_s", TAU0), ("alpha_s", ALPHA), ("cv2", CV2)):
        one = found.estimates[name]
        assert one.low <= true <= one.high, one
        assert one.known is Known.IDENTIFIED
        assert one.high / one.low < 1.5


def test_one_row_in_thirty_with_gross_errors_hardly_moves_the_law() -> None:
    clean = recording()
    wild = clean["service_s"].copy()
    wild[::30] *= 50.0
    spoilt = fit_law.fit(fit_law.points(recording(service_s=wild)))
    assert spoilt.theta == pytest.approx([TAU0, ALPHA], rel=0.1)
    assert spoilt.limited > 0.02


def test_waiting_requests_that_slow_batches_down_are_found() -> None:
    chance = np.random.default_rng(3)
    base = recording()
    waiting = chance.uniform(0.0, 40.0, base.rows)
    service = base["service_s"] + 0.0005 * waiting
    held = base["batch_size"] + waiting
    found = fit_law.fit(
        fit_law.points(recording(service_s=service, in_flight=held)), concurrency=True
    )
    assert found.theta[2] == pytest.approx(0.0005, rel=0.1)
    without = fit_law.fit(fit_law.points(recording(in_flight=held)), concurrency=True)
    low, high = fit_bootstrap.interval(without.draws[:, 2], 0.99)
    assert low <= 0.0 <= high


def test_throughput_beside_running_says_the_same_as_times_of_batches() -> None:
    base = recording()
    rate = 2.0 * base["batch_size"] / base["service_s"]
    columns = {
        "running": 2.0 * base["batch_size"],
        "throughput": rate,
        "replicas": np.full(base.rows, 2.0),
    }
    found = fit_law.fit(fit_law.points(made(columns)))
    assert found.theta == pytest.approx([TAU0, ALPHA], rel=0.03)


def test_batches_that_vary_less_than_four_times_are_flagged() -> None:
    base = recording()
    batch = 8.0 + 0.5 * (base["batch_size"] - 8.0)
    narrow = np.clip(batch, 6.0, 12.0)
    found = fit.fit(recording(batch_size=narrow, service_s=TAU0 + ALPHA * narrow))
    assert found.estimates["tau0_s"].known is Known.WEAK
    assert "less than 4" in found.estimates["tau0_s"].why


# Moments


@pytest.mark.parametrize("ca2", [0.25, 1.0, 4.0])
def test_burstiness_is_found_from_counts_of_a_second(ca2: float) -> None:
    chance = np.random.default_rng(5)
    gaps = chance.gamma(1 / ca2, ca2 / 50.0, 400_000)
    counts = np.bincount(np.cumsum(gaps).astype(int))[:-1].astype(float)
    found = fit_moments.arrival_ca2(made({"request_rate": counts}, step_s=1.0), 0)
    assert found.known is Known.IDENTIFIED
    assert found.value == pytest.approx(ca2, rel=0.12)


def test_coarse_counts_give_a_lower_bound_of_burstiness_and_say_so() -> None:
    chance = np.random.default_rng(6)
    counts = chance.poisson(3000.0, 500) / 60.0
    found = fit_moments.arrival_ca2(made({"request_rate": counts}), 0)
    assert found.known is Known.BOUND
    assert found.low <= 1.0
    assert math.isinf(found.high)


def test_times_to_become_ready_are_found_in_order() -> None:
    wanted, starting, ready = np.full(200, 2.0), np.zeros(200), np.full(200, 2.0)
    for k, at in enumerate(range(10, 190, 20)):
        wanted[at:] = 3.0 + k
        starting[at + 3 : at + 8] = 1.0
        ready[at + 8 :] = 3.0 + k
    columns = {"replicas": ready, "replicas_wanted": wanted, "replicas_starting": starting}
    delay, load = fit_moments.becoming_ready(made(columns, step_s=15.0))
    assert (delay.value, load.value) == (45.0, 75.0)
    assert delay.low < 45.0 < delay.high
    both, none = fit_moments.becoming_ready(
        made({"replicas": ready, "replicas_wanted": wanted}, step_s=15.0)
    )
    assert both.value == 120.0
    assert none.known is Known.NO


def test_a_leak_is_found_between_restarts_and_steady_memory_has_none() -> None:
    chance = np.random.default_rng(7)
    noise = 0.01 * chance.standard_normal(600)
    saw = 2.0 + (np.arange(600) % 300) * (0.6 / 60.0)
    found = fit_moments.leak(made({"memory_gib": saw + noise}))
    assert found.value == pytest.approx(0.6, rel=0.05)
    steady = fit_moments.leak(made({"memory_gib": 4.0 + noise}))
    assert steady.low <= 0.0 <= steady.high


def test_retries_are_known_only_beside_unique_requests() -> None:
    unique = np.full(100, 80.0)
    both = made({"request_rate": unique, "attempt_rate": np.full(100, 100.0)})
    assert fit_moments.retries(both, 0).value == pytest.approx(0.2)
    assert fit_moments.retries(made({"attempt_rate": unique}), 0).known is Known.NO


# Where it holds


def test_the_region_is_the_hull_of_what_was_seen_also_between_replica_counts() -> None:
    rho = np.array([0.2, 0.8, 0.2, 0.8, 0.5])
    batch = np.array([1.0, 8.0, 1.0, 16.0, 2.0])
    found = region(rho, batch, np.array([2.0, 2.0, 4.0, 4.0, 2.0]))
    assert found is not None
    assert found.trusts(0.8, 8.0, 2)
    assert found.trusts(0.8, 12.0, 3)  # half-way between the two corners
    assert not found.trusts(0.8, 12.5, 3)
    assert not found.trusts(0.8, 12.0, 2)
    assert not found.trusts(0.2, 8.0, 2)  # inside the ranges, outside the hull
    assert not found.trusts(0.8, 8.0, 5)
    assert not found.trusts(math.nan, 8.0, 2)


@pytest.mark.parametrize("impossible", [0, 10, 20, 21, 200, 380, 381, 400])
def test_an_end_of_an_interval_is_a_count_or_that_none_is_enough(impossible: int) -> None:
    """Of 400 draws, 20 without an answer used to give 50,000,012 replicas as the most."""
    counts = np.asarray([12.0] * (400 - impossible) + [1e9] * impossible)
    low, high = fit_plan.interval(counts)
    assert low == (1e9 if impossible > 380 else 12.0)
    assert high == (1e9 if impossible >= 20 else 12.0)
    spread = np.asarray([*range(1, 20), 40.0])
    assert fit_plan.interval(spread) == (1.0, 40.0)


# Real logs


def test_the_published_vllm_runs_give_the_published_law() -> None:
    found = fit.fit(vllm(100, 200, 300, 400, 500))
    assert found.estimates["tau0_s"].value == pytest.approx(4.41e-3, rel=0.05)
    assert found.estimates["alpha_s"].value == pytest.approx(0.327e-3, rel=0.03)
    assert found.law is not None
    assert found.law.r2 == pytest.approx(0.824, abs=0.01)
    assert found.estimates["cv2"].known is Known.NO


@pytest.mark.parametrize("unseen", [400, 500])
def test_heavier_vllm_runs_that_were_not_seen_are_predicted(unseen: int) -> None:
    """Run-mean throughput within 6 %, and 95 % and 80 % intervals that hold about as often."""
    found = fit.fit(vllm(100, 200, 300))
    judged = check.check(found, vllm(unseen))
    (signal,) = judged.signals
    assert signal.name == "throughput"
    assert abs(signal.bias) < 0.06
    half, most, nearly_all = signal.covers[0].shares
    assert 0.38 < half < 0.6
    assert 0.65 < most < 0.9
    assert 0.88 < nearly_all < 0.99


# The file


def test_a_fit_file_holds_the_fit() -> None:
    found = fit.fit(recording(), fit.Options(p99_s=0.3, demand_rps=100.0, usd_per_hour=2.0))
    plain = fit_file.to_plain(found)
    again = fit_file.from_plain(json.loads(json.dumps(plain, allow_nan=False)), "fit.json")
    assert fit_file.to_plain(again) == plain
    assert plain["input"]["sha256"] == "0" * 64
    assert again.region is not None


@pytest.mark.parametrize("plain", [{}, [], {"format": fit_file.FORMAT}, None])
def test_what_is_no_fit_file_is_refused(plain: object) -> None:
    with pytest.raises(ConfigError, match="twin fit"):
        fit_file.from_plain(plain, "fit.json")


# What is cheapest


def test_more_demand_never_needs_fewer_replicas_and_price_follows() -> None:
    found = fit.fit(recording(), fit.Options(p99_s=0.3, demand_rps=1000.0, usd_per_hour=2.0))
    peak, more = found.plans
    assert peak.best is not None
    assert more.best is not None
    assert more.demand_rps == 1000.0
    assert (more.best.replicas or 0) > (peak.best.replicas or 0)
    assert more.best.usd_per_hour == 2.0 * (more.best.replicas or 0)
    assert more.best.low <= more.best.replicas <= (more.best.high or 10**9)  # type: ignore[operator]
    assert not more.best.seen  # the recording has one replica


def test_a_promise_below_one_service_time_cannot_be_kept() -> None:
    found = fit.fit(recording(), fit.Options(p99_s=0.01))
    assert found.plans[0].best is None


# Hostile input

HEAD = "timestamp,batch_size,service_s\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timestamp,batch_size,servise_s\n0,1,1\n", "did you mean 'service_s'"),
        ("batch_size,service_s\n1,1\n", "timestamp: missing"),
        ("timestamp,batch_size,batch_size\n0,1,1\n", "named twice"),
        (HEAD + "0,1,1\n1,-2,1\n", "f.csv:3: batch_size: -2"),
        (HEAD + "0,1,1\n1,2,inf\n", "f.csv:3: service_s: inf"),
        (HEAD + "0,1,1\n1,2,fast\n", "f.csv:3: service_s: 'fast' is no number"),
        (HEAD + "0,1,1\n1,2\n", "f.csv:3: 2 cells"),
        (HEAD + "5,1,1\n4,2,1\n", "f.csv:3: timestamp: not later"),
        (HEAD + "5,1,1\n5,2,1\n", "f.csv:3: timestamp: not later"),
        (HEAD + "noon,1,1\n", "f.csv:2: timestamp: 'noon'"),
        (HEAD + "nan,1,1\n", "f.csv:2: timestamp"),
        (HEAD + "now,1,1\n", "f.csv:2: timestamp: 'now'"),
        (HEAD + "NaT,1,1\n", "f.csv:2: timestamp: 'NaT'"),
        (HEAD + "0,1e300,1\n1,1,1\n", "f.csv:2: batch_size"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_with_line_column_and_fix(
    text: str, says: str
) -> None:
    with pytest.raises(FitInputError, match=says.replace("(", r"\(")):
        from_csv(text.encode(), "f.csv")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(FitInputError, match="UTF-8"):
        from_csv(b"timestamp\xff\n", "f.csv")


def constant() -> Frame:
    return made({"batch_size": np.full(50, 4.0), "service_s": np.full(50, 0.1)})


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: from_csv(b"", "f.csv"), "empty"),
        (lambda: from_csv(HEAD.encode(), "f.csv"), "0 rows"),
        (lambda: from_csv((HEAD + "0,1,1\n").encode(), "f.csv"), "1 rows"),
        (lambda: fit.fit(constant()), "cannot be told apart"),
        (lambda: fit.fit(from_csv((HEAD + "0,1,1\n1,2,2\n").encode(), "f.csv")), "8 are needed"),
        (lambda: fit.fit(made({"memory_gib": np.ones(50)})), "batch"),
        (
            lambda: fit.fit(made({"batch_size": np.full(50, np.nan), "service_s": np.ones(50)})),
            "batch",
        ),
    ],
)
def test_what_says_nothing_of_the_law_is_said_to_say_nothing(
    build: Callable[[], object], says: str
) -> None:
    with pytest.raises(NotIdentifiedError, match=says):
        build()


def test_empty_cells_and_nan_are_not_reported_and_never_zero() -> None:
    found = from_csv((HEAD + "0,1,\n60,NaN,2\n").encode(), "f.csv")
    assert np.isnan(found["service_s"][0])
    assert np.isnan(found["batch_size"][1])
    assert np.isnan(found["memory_gib"]).all()


def test_dates_are_read_as_utc_and_a_gap_begins_a_new_stretch() -> None:
    rows = ["2026-01-01T00:00:00Z", "2026-01-01 00:01:00", "2026-01-01T00:02:00+00:00"]
    rows += ["2026-01-01T01:00:00Z", "2026-01-01T01:01:00Z"]
    found = from_csv(("timestamp,replicas\n" + "".join(f"{r},1\n" for r in rows)).encode(), "f")
    assert found.time_s - found.time_s[0] == pytest.approx([0, 60, 120, 3600, 3660])
    assert found.segment.tolist() == [0, 0, 0, 1, 1]
    assert found.step_s[3] == 60.0


def test_holes_and_gaps_do_not_spoil_the_law() -> None:
    base = recording(600)
    chance = np.random.default_rng(9)
    holes = {
        name: np.where(chance.random(600) < 0.2, np.nan, v) for name, v in base.columns.items()
    }
    times = base.time_s + np.where(np.arange(600) > 300, 86400.0, 0.0)
    found = fit.fit(frame(source="test", sha256="0" * 64, time_s=times, columns=holes))
    assert found.estimates["tau0_s"].value == pytest.approx(TAU0, rel=0.05)
    assert any("1 gaps" in note for note in found.notes)


# The check


def test_crps_is_the_distance_of_a_sure_forecast_and_rewards_spread_that_is_right() -> None:
    chance = np.random.default_rng(11)
    seen = chance.standard_normal(4000)
    share = (np.arange(99) + 0.5) / 99

    def score(sigma: float) -> float:
        quantiles = np.array([NormalDist(0.0, sigma).inv_cdf(p) for p in share])
        return float(check.crps(np.tile(quantiles, (len(seen), 1)), seen).mean())

    assert score(1.0) == pytest.approx(1.0 / math.sqrt(math.pi), rel=0.03)  # of a normal law
    assert score(1.0) < min(score(0.5), score(2.0))


def test_a_fit_that_no_longer_holds_is_called_not_good() -> None:
    found = fit.fit(recording(seed=1))
    assert check.check(found, recording(seed=2)).missed == ()
    slower = recording(seed=2)
    changed = check.check(found, recording(seed=2, service_s=1.5 * slower["service_s"]))
    assert not changed.good
    assert any("80% intervals hold" in why for why in changed.missed)
    assert changed.signals[0].bias == pytest.approx(1 / 1.5 - 1, abs=0.05)


def test_above_the_load_that_was_fitted_to_is_told_apart() -> None:
    base = recording(seed=1)
    light = fit.fit(base.take(fit.load(base, np.array([TAU0, ALPHA]), 16.0) < 0.3))
    judged = check.check(light, recording(seed=2))
    groups = {cover.group for cover in judged.signals[0].covers}
    assert "above" in groups
