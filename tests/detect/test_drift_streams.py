"""Drift on streams: healthy ones stay quiet at every look, and changed concepts are found in time.

The SEA stream holds one concept (its labels follow attrib1 + attrib2 <= 9 with 10 % noise from the
first row to the last, which a test here checks), so drifts are made by Street & Kim's other
thresholds on its rows, drawn anew for each run, with its own noise. ADWIN's delays (River 0.26.1,
default delta 0.002, fed the same errors row by row) are quoted from `benchmarks/drift_peers.py`,
which draws the same rows: no drift detector of others is installed here.
"""

from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pytest

from homeostat.detect.drift_config import Config as DriftConfig
from homeostat.detect.drift_reference import part_of_chance
from homeostat.stats import ks
from homeostat.stats.share_test import Config, ShareTest

SEA = Path(__file__).parents[3] / "shared" / "data" / "drift_streams" / "sea_big.csv"
FITTED, BEFORE, AFTER, RUNS = 1000, 5000, 6000, 60
# Thresholds before and after, and ADWIN's median delay in rows; it had no false alarm, and found
# nothing in 6,000 rows in 7 runs of the first.
CONCEPTS: Final = [(8.0, 9.0, 1096.0), (9.0, 7.0, 280.0), (7.0, 9.5, 184.0)]
# What the detector holds after 5,000 rows: its fourth snapshot, with its part of the chance.
DRIFT = DriftConfig()
HELD, PART = 4000, part_of_chance(4, least=DRIFT.reference, most=DRIFT.most)


def normal_shares(mean: float = 0.0) -> Any:
    """Return the shares of 12 bins under a normal law."""
    edges = np.linspace(-2.0, 2.0, 11)
    below = [NormalDist(mean).cdf(edge) for edge in edges]
    return np.diff([0.0, *below, 1.0])


def first_alarms(*, streams: int, features: int, looks: int, seed: int) -> tuple[Any, Any]:
    """Return which healthy streams alarm ever: here, and by KS at 5 % with Bonferroni at each look.

    As those who measured others: 1,000 rows of reference, a look every 50 rows, KS on the last 200.
    """
    rng, shares, rows = np.random.default_rng(seed), normal_shares(), streams * features
    test = ShareTest(Config())
    reference = rng.multinomial(1000, shares, rows).T.astype(float)
    bets = test.against(reference, unlucky=test.config.unlucky / features)
    state = test.init(len(shares), rows)
    ours, theirs = np.zeros(streams, dtype=bool), np.zeros(streams, dtype=bool)
    seen: list[Any] = []
    # Where the tail of Kolmogorov's law is 5 % of all features together.
    limit = np.interp(-np.log10(0.05 / features), *tail())
    for _ in range(looks):
        counts = rng.multinomial(50, shares, rows).T.astype(float)
        state, said = test.step(bets, state, counts, among=features)
        ours |= said.evidence.reshape(streams, features).mean(axis=1) >= test.config.run_length
        seen = [*seen, counts][-4:]
        root = np.sqrt(200.0 * 1000.0 / 1200.0)
        size = (root + 0.12 + 0.11 / root) * ks.distance(np.sum(seen, axis=0), reference)
        if len(seen) == 4:
            theirs |= (size.reshape(streams, features) > limit).any(axis=1)
    return ours, theirs


def tail() -> tuple[Any, Any]:
    """Return Kolmogorov's -log10 tail and where it is so large."""
    sizes = np.linspace(0.5, 4.0, 500)
    return [ks.neg_log10_tail(float(size)) for size in sizes], sizes


@pytest.mark.slow
@pytest.mark.parametrize(("features", "streams"), [(1, 300), (20, 60), (100, 20)])
def test_healthy_streams_stay_quiet_for_three_thousand_rows(features: int, streams: int) -> None:
    ours, theirs = first_alarms(streams=streams, features=features, looks=60, seed=features)
    print(f"{features} features, {streams} streams: {ours.sum()} alarm, by KS {theirs.sum()}")
    assert ours.mean() <= 0.05
    assert theirs.mean() > 0.15  # what looking again and again makes of a test at 5 %


def sea() -> tuple[Any, Any]:
    """Return the stream's attributes and which labels are noise."""
    if not SEA.exists():
        pytest.skip(f"needs the SEA stream at {SEA}")
    rows = np.loadtxt(SEA, delimiter=",", skiprows=1)
    wrong = (rows[:, 0] + rows[:, 1] <= 9.0) != (rows[:, 3] == 1.0)
    return rows[:, :3], wrong if wrong.mean() < 0.5 else ~wrong


def errors(attributes: Any, noise: Any, old: float, new: float) -> Any:
    """Return the errors of a model fitted to the old concept, `[row, run]`, 1 for wrong."""
    rng, total, out = np.random.default_rng(1), FITTED + BEFORE + AFTER, []
    for _ in range(RUNS):
        rows = rng.permutation(len(attributes))[:total]
        x, flipped = attributes[rows], noise[rows]
        threshold = np.where(np.arange(total) < FITTED + BEFORE, old, new)
        label = (x[:, 0] + x[:, 1] <= threshold) ^ flipped
        design = np.column_stack([np.ones(total), x])
        weights = np.linalg.lstsq(design[:FITTED], 2.0 * label[:FITTED] - 1.0, rcond=None)[0]
        out.append((design @ weights > 0.0) != label)
    return np.array(out, dtype=float)[:, FITTED:].T


@pytest.mark.slow
def test_the_stream_itself_holds_one_concept() -> None:
    _, noise = sea()
    shares = noise.reshape(20, -1).mean(axis=1)
    assert shares == pytest.approx(np.full(20, 0.1), abs=0.02)


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "adwin"), CONCEPTS)
def test_a_changed_concept_is_found_within_half_as_long_again_as_by_adwin(
    old: float, new: float, adwin: float
) -> None:
    wrong = errors(*sea(), old, new)
    counts = np.stack([1.0 - wrong, wrong], axis=1)
    test = ShareTest(DRIFT.test)
    bets = test.against(counts[:HELD].sum(axis=0), unlucky=DRIFT.test.unlucky * PART)
    state, delay = test.init(2, RUNS), np.full(RUNS, np.inf)
    for row in range(HELD, BEFORE + AFTER):
        state, said = test.step(bets, state, counts[row])
        assert row >= BEFORE or not said.alarm.any()
        delay = np.where(said.alarm, np.minimum(delay, row - BEFORE + 1.0), delay)
    shown = (wrong[:BEFORE].mean(), wrong[BEFORE:].mean(), np.median(delay), adwin)
    print("{:.3f} to {:.3f}: after {:.0f} rows, ADWIN {:.0f}".format(*shown))
    assert np.median(delay) <= 1.5 * adwin
