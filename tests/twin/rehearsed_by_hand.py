"""A fit and a deployment written by hand, and one small compiled rehearsal for all its tests."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from homeostat.base.actions import Action, ActionKind
from homeostat.twin.fit_estimate import estimate, unknown
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_region import region
from homeostat.twin.fit_values import Fit
from homeostat.twin.rehearse_draw import Draws, draw
from homeostat.twin.rehearse_play import Stage
from homeostat.twin.rehearse_prior import Prior
from homeostat.twin.rehearse_situation import Situation, Slot
from homeostat.twin.shapes import Phase

SLOTS = 4
DRAWS = 16
# Latencies that were compared, and are what the curves say: all that is open is the law and chance.
EXACT = Spread(signal="latency_p95_s", edges=(), errors=((0.0,) * 40,), number=40)
KNOWN = {
    "timeout_s": 5.0, "retries": 1.0, "backoff_s": 1.0, "cancel": 0.5, "least_loaded": 0.0,
    "sticky": 0.0, "provision_s": 30.0, "load_s": 15.0, "warm_s": 30.0, "cold_speed": 0.6,
    "write_s": 1.0, "network_s": 0.001, "b_service_ratio": 1.0, "ou_sd": 0.03, "ou_tau_s": 60.0,
}  # fmt: skip


def fixed(**values: float) -> dict[str, Prior]:
    """Return assumptions that leave nothing open."""
    return {
        name: Prior(low=value, high=value, meaning="fixed", source="the test")
        for name, value in (KNOWN | values).items()
    }


def fitted(law: tuple[float, float, float] = (0.02, 0.002, 0.25), spread: float = 0.05) -> Fit:
    """Return a fit whose draws scatter around a law by so much of each."""
    chance = np.random.default_rng(5)
    draws = np.asarray(law) * np.exp(spread * chance.standard_normal((200, 3)))
    known = {
        name: estimate(name, "", value, draws[:, k], why="by hand")
        for k, (name, value) in enumerate(zip(("tau0_s", "alpha_s", "cv2"), law, strict=True))
    }
    known |= {name: unknown(name, "", "by hand") for name in ("provision_s", "load_s", "ca2")}
    each = np.linspace(20.0, 180.0, 60)  # requests per second and replica
    load, batch = each * (0.02 / 8 + 0.002), np.maximum(each * 0.02 / (1 - each * 0.002), 1.0)
    loads, batches = (
        np.tile(load, 6),
        np.concatenate([0.7 * np.tile(batch, 3), 1.4 * np.tile(batch, 3)]),
    )
    return Fit(
        source="by hand", sha256="0" * 64, unit="request", rows=50, span_s=3000.0, step_s=60.0,
        estimates=known, draws=draws, batch_limit=8.0, law=None, factors=(0.0,) * 4, refined=0,
        spreads={"latency_p95_s": EXACT}, naive={}, plans=(), notes=(),
        region=region(loads, batches, np.tile(np.repeat([2.0, 3.0, 4.0], 60), 2)),
    )  # fmt: skip


def standing(**values: Any) -> Situation:
    """Return three replicas of the stable pool at about half of their capacity."""
    slots = tuple(Slot(name=f"a-{k}", variant=0, phase=Phase.READY) for k in range(3))
    usual = Situation(
        rate_rps=330.0, requests=5000.0, slots=slots, weights=(1.0, 0.0, 0.0), batch_max=8.0,
        latency_ms=150.0, error_ratio=0.01, usd_per_hour=2.0, most=4.0, failing=0.0,
    )  # fmt: skip
    return replace(usual, **values)


@cache
def stage() -> Stage:
    """Return the program that the tests share."""
    return Stage(SLOTS)


def drawn(now: Situation, fit: Fit | None = None, seed: int = 1, **assumed: float) -> Draws:
    """Return draws with nothing open but the service law and chance."""
    return draw(fit or fitted(), now, number=DRAWS, slots=SLOTS, seed=seed, assume=fixed(**assumed))


def action(kind: ActionKind, settle_s: float = 30.0) -> Action:
    """Return an action that only has to have a name."""
    return Action(kind=kind, subject="pool:a", settle_ns=round(settle_s * 1e9))
