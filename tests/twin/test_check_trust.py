"""A check can only be good if it could have failed: later data, latencies, where it is to hold."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from homeostat.twin import check, fit
from homeostat.twin.fit_frame import Frame, frame, joined
from homeostat.twin.fit_values import Fit

THETA = np.array([0.02, 0.002, 0.3])
BEGINS = 1.7e9
ROWS = 300
HOUR_S = 3600.0


def recording(
    begins_s: float = BEGINS, seed: int = 1, slower: float = 1.0, noise: float = 0.05
) -> Frame:
    """Return an hours-long recording of three replicas whose law and latencies are known.

    Args:
        begins_s: Time of the first row.
        seed: Of its noise.
        slower: What its latencies are over the law's, where more than half is used.
        noise: Of its latencies, in logs.
    """
    chance = np.random.default_rng(seed)
    each = chance.uniform(20.0, 170.0, ROWS)
    batch = np.clip(each * 0.02 / (1.0 - each * 0.002) * np.exp(0.1 * _noise(chance)), 1.0, 8.0)
    scatter = np.sqrt(0.3 / (60.0 * each / batch))
    columns = {
        "request_rate": 3 * each,
        "throughput": 3 * each,
        "replicas": np.full(ROWS, 3.0),
        "batch_size": batch,
        "service_s": (0.02 + 0.002 * batch) * (1.0 + scatter * _noise(chance)),
        "batch_limit": np.full(ROWS, 8.0),
    }
    times = np.asarray(begins_s + 60.0 * np.arange(ROWS), np.float64)
    bare = frame(source="r.csv", sha256=f"{seed:064d}", time_s=times, columns=columns)
    said = fit.expected(bare, THETA, np.zeros(4), 8.0, 1.0)["latency_p95_s"]
    busy = np.where(fit.load(bare, THETA, 8.0) > 0.5, slower, 1.0)
    columns["latency_p95_s"] = said * busy * np.exp(noise * _noise(chance))
    return frame(source="r.csv", sha256=f"{seed:064d}", time_s=times, columns=columns)


def _noise(chance: np.random.Generator) -> np.ndarray:
    return chance.standard_normal(ROWS)


def cut(one: Frame, rows: np.ndarray) -> Frame:
    """Return some rows as a file of its own would say them: with the dates of those rows."""
    columns = {name: values[rows] for name, values in one.columns.items()}
    return frame(source="cut.csv", sha256="a" * 64, time_s=one.time_s[rows], columns=columns)


def without(one: Frame, *names: str) -> Frame:
    return replace(one, columns={n: v for n, v in one.columns.items() if n not in names})


def calm(one: Frame) -> np.ndarray:
    """Return which rows are below half of the capacity [n]."""
    return fit.load(one, THETA, 8.0) < 0.5


@cache
def fitted() -> Fit:
    return fit.fit(recording())


def judged(later: Frame, found: Fit | None = None) -> check.Check:
    return check.check(found or fitted(), later)


def after(**changes: float) -> Frame:
    return recording(begins_s=BEGINS + 6 * HOUR_S, seed=2, **changes)


@pytest.mark.slow
def test_a_later_recording_of_the_same_deployment_is_good() -> None:
    said = judged(after())
    assert (said.good, said.later, said.missed, said.lacks) == (True, True, (), ())
    plain = check.to_plain(said)
    assert (plain["good"], plain["later"], plain["lacks"]) == (True, True, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "own",
    [
        lambda one: cut(one, np.arange(ROWS) != 7),
        lambda one: cut(one, np.arange(ROWS) >= ROWS - 100),
        lambda one: joined([one, after()]),
        lambda one: replace(one, sha256="c" * 64),
    ],
    ids=["a row less", "its end", "it and a later one", "another digest"],
)
def test_the_data_of_the_fit_check_nothing_whatever_their_digest(
    own: Callable[[Frame], Frame],
) -> None:
    said = judged(own(recording()))
    assert not said.same
    assert said.later is False
    assert not said.good
    assert any("not later" in why for why in said.lacks)


@pytest.mark.slow
def test_without_a_date_nobody_knows_whether_it_is_later() -> None:
    undated = recording(begins_s=0.0, seed=2)
    for said in (judged(undated), judged(after(), fit.fit(recording(begins_s=0.0)))):
        assert said.later is None
        assert said.missed == ()
        assert not said.good
        assert any("has no date" in why for why in said.lacks)


@pytest.mark.slow
def test_a_check_that_begins_with_the_last_row_of_the_fit_is_not_later() -> None:
    found = fitted()
    end = found.window.ends_s
    starts = (end - 1.0, end, end + 0.5, end + 1.0)
    assert [check.is_later(found, recording(begins_s=one)) for one in starts] == [
        False, False, False, True,
    ]  # fmt: skip


@pytest.mark.slow
def test_latencies_that_were_not_compared_are_no_good_check() -> None:
    blind = without(after(), "latency_p95_s")
    for said in (
        judged(blind),
        judged(after(), fit.fit(without(recording(), "latency_p95_s"))),
    ):
        assert said.missed == ()
        assert not said.good
        assert any("latency_p95_s was not compared" in why for why in said.lacks)


@pytest.mark.slow
def test_intervals_that_fail_above_the_load_fitted_to_fail_the_check() -> None:
    light = fit.fit(recording().take(calm(recording())))
    rows = after(slower=3.0, noise=0.03)
    said = judged(cut(rows, calm(rows) | (np.arange(ROWS) % 5 == 0)), light)
    (latency,) = (one for one in said.signals if one.name == "latency_p95_s")
    shares = {one.group: one.shares[1] for one in latency.covers}
    assert shares["above"] < 0.1
    assert shares["all"] >= 0.7  # which is all that was looked at before
    assert shares["inside"] >= 0.7
    assert not said.good
    assert any("above the load fitted to" in why for why in said.missed)


@pytest.mark.slow
def test_rows_outside_the_region_show_nothing_about_it() -> None:
    light = fit.fit(recording().take(calm(recording())))
    rows = after()
    said = judged(cut(rows, ~calm(rows)), light)
    assert said.outside > 0.99
    assert not said.good
    assert any("lie in the region" in why for why in said.lacks)
    two = replace(rows, columns={**rows.columns, "replicas": np.full(ROWS, 2.0)})
    assert judged(two).outside == 1.0


def test_many_states_are_judged_as_one_by_one() -> None:
    region = fitted().region
    assert region is not None
    chance = np.random.default_rng(3)
    rho, batch = chance.uniform(0, 1.2, 200), chance.uniform(0.5, 9.0, 200)
    count = chance.integers(1, 5, 200).astype(float)
    rho[3], batch[4], count[5] = np.nan, np.nan, np.nan
    one_by_one = [
        region.trusts(rho[k], batch[k], int(count[k])) if np.isfinite(count[k]) else False
        for k in range(200)
    ]
    assert region.holds(rho, batch, count).tolist() == one_by_one
    assert 0 < sum(one_by_one) < 200
