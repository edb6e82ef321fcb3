"""What would have been with other replicas: more serve sooner, and a law that lies is not asked."""

from importlib.util import find_spec

import pytest

if find_spec("jax") is None:
    pytest.skip("the extra twin is not installed", allow_module_level=True)

from dataclasses import replace

import numpy as np

from homeostat.twin import instead as twin
from homeostat.twin.fit_curves import SIGNALS
from homeostat.twin.fit_estimate import Known, estimate
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_region import region
from homeostat.twin.fit_values import Fit

pytestmark = pytest.mark.slow

TAU0, ALPHA, LIMIT, STEP_S, ROWS = 0.02, 0.004, 8.0, 60.0, 30
CAPACITY = LIMIT / (TAU0 + ALPHA * LIMIT)  # of a replica, requests per second


def law(errors: float = 0.03, seen: tuple[float, float] = (0.05, 2.0)) -> Fit:
    """Return a fit of a known law that was seen at two to eight replicas."""
    chance = np.random.default_rng(0)
    draws = np.array([TAU0, ALPHA, 0.2]) * np.exp(0.01 * chance.standard_normal((200, 3)))
    each = {
        name: estimate(name, "s", value, draws[:, k], known=Known.IDENTIFIED, why="made up")
        for k, (name, value) in enumerate((("tau0_s", TAU0), ("alpha_s", ALPHA), ("cv2", 0.2)))
    }
    each["ca2"] = estimate("ca2", "", 1.0, np.ones(200), known=Known.IDENTIFIED, why="made up")
    rho, batch, count = np.meshgrid(seen, (1.0, LIMIT), (2.0, 8.0))
    residuals = tuple(sorted(errors * chance.standard_normal(199)))
    return Fit(
        source="made", sha256="", unit="request", rows=500, span_s=3e4, step_s=STEP_S,
        estimates=each, draws=draws, batch_limit=LIMIT, law=None,
        factors=(0.0,) * len(SIGNALS), refined=0,
        spreads={twin.P95: Spread(signal=twin.P95, edges=(), errors=(residuals,), number=199)},
        naive={}, region=region(rho.ravel(), batch.ravel(), count.ravel()), plans=(), notes=(),
    )  # fmt: skip


def stretch(rho: float, *, missed: bool, failing: bool = False) -> twin.Stretch:
    """Return half an hour at a load of four replicas."""
    return twin.Stretch(
        rate=np.full(ROWS, rho * 4.0 * CAPACITY),
        ready=np.full(ROWS, 4.0),
        limit=np.full(ROWS, LIMIT),
        late=np.full(ROWS, missed),
        failing=np.full(ROWS, failing),
        known=np.ones(ROWS, dtype=bool),
        step_s=STEP_S,
        promised_s=0.5,
        jobs=20.0,
    )


def change(replicas: float = 1.0, after_s: float = 0.0, limit: float | None = None) -> twin.Change:
    return twin.Change(replicas=replicas, limit=limit, after_s=np.full(twin.DRAWS, after_s))


def asked(found: Fit, rows: twin.Stretch, what: twin.Change) -> twin.Instead:
    return twin.instead(found, rows, what, alike=0.5, seed=0)


def test_enough_replicas_save_what_an_overload_cost() -> None:
    said = asked(law(), stretch(1.15, missed=True), change(2.0))
    assert said.doubts == ()
    assert said.held == ROWS
    assert 25.0 <= said.low <= said.middle <= said.high <= ROWS


def test_what_takes_longer_saves_less_and_what_comes_too_late_nothing() -> None:
    soon, later, never = (
        asked(law(), stretch(1.15, missed=True), change(2.0, after_s)).middle
        for after_s in (0.0, 600.0, 1e6)
    )
    assert soon > later > never
    assert abs(never) <= 1.0


def test_fewer_replicas_cost_what_holding_did_not() -> None:
    said = asked(law(), stretch(0.85, missed=False), change(-1.0))
    assert said.held == 0.0
    assert said.high < 0.0


def test_a_law_that_does_not_say_what_was_seen_is_doubted() -> None:
    said = asked(law(), stretch(0.4, missed=True), change())
    assert any("more than load was wrong" in why for why in said.doubts)


def test_errors_that_do_not_come_of_waiting_are_not_saved() -> None:
    said = asked(law(), stretch(0.4, missed=False, failing=True), change())
    assert said.held == ROWS
    assert said.high == 0.0


def test_where_it_was_never_seen_it_is_doubted() -> None:
    said = asked(law(seen=(0.05, 0.3)), stretch(1.15, missed=True), change(2.0))
    assert any("never saw" in why for why in said.doubts)
    assert any("never saw" in why for why in asked(law(), stretch(1.15, missed=True),
                                                   change(9.0)).doubts)  # fmt: skip
    assert asked(law(), stretch(1.15, missed=True), change(2.0, limit=64.0)).doubts
    nobody = replace(law(), region=None)
    assert asked(nobody, stretch(1.15, missed=True), change(2.0)).doubts


def test_without_predictive_errors_nothing_is_said() -> None:
    said = asked(replace(law(), spreads={}), stretch(1.15, missed=True), change())
    assert np.isnan(said.middle)
    assert said.doubts


def test_unknown_rows_count_nowhere() -> None:
    rows = stretch(1.15, missed=True)
    half = replace(rows, known=np.arange(ROWS) < ROWS // 2)
    said = asked(law(), half, change(2.0))
    assert said.held == ROWS // 2
    assert said.high <= ROWS // 2


def test_the_same_question_has_the_same_answer() -> None:
    rows = stretch(1.02, missed=True)
    assert asked(law(0.3), rows, change()) == asked(law(0.3), rows, change())


def test_errors_that_go_together_make_wider_intervals() -> None:
    rows = replace(stretch(0.9, missed=False), promised_s=0.2)
    apart, alike = (twin.instead(law(0.4), rows, change(0.0), alike=a, seed=0) for a in (0.0, 0.95))
    assert alike.high - alike.low > 1.5 * (apart.high - apart.low)
