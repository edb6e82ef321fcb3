"""A made-up past: a day's rhythm, an overload, a gap; as rows that a range query would return."""

from dataclasses import replace
from typing import Any

import numpy as np

from homeostat.base.policy import GuardPolicy, LeverLimit, Managed, Mode, Objective
from homeostat.base.units import SECOND
from homeostat.server import wiring
from homeostat.server.backtest import recorded, shadow
from homeostat.server.backtest.play import Seen, play
from homeostat.server.backtest.recorded import Grid, History
from homeostat.signals.past import Past
from homeostat.twin.fit_frame import Frame, frame

STEP_S = 300
BEGAN_S = 1_700_000_100
PROMISED_MS = 300.0


def past(
    rows: int = 120,
    overload: range | None = None,
    gap: range | None = None,
    seed: int = 0,
    **columns: Any,
) -> Frame:
    """Return a recording.

    Args:
        rows: One each `STEP_S`.
        overload: Rows in which half as much again arrives, and waits.
        gap: Rows that are not there.
        seed: Of the noise.
        columns: In place of the usual ones; None leaves one out.
    """
    chance = np.random.default_rng(seed)
    times = BEGAN_S + STEP_S * np.arange(rows, dtype=float)
    over = np.isin(np.arange(rows), list(overload or ()))
    rate = np.where(over, 170.0, 100.0) + chance.normal(0.0, 2.0, rows)
    batch = np.clip(0.03 * rate / 4.0, 1.0, 8.0)
    p95 = np.where(over, 0.9, 0.1) * np.exp(chance.normal(0.0, 0.05, rows))
    failed = 0.0005 * rate
    found: dict[str, Any] = {
        "request_rate": rate,
        "throughput": rate - failed,
        "error_rate": failed,
        "latency_p50_s": p95 / 2.0,
        "latency_p95_s": p95,
        "batch_size": batch,
        "service_s": (0.02 + 0.004 * batch) * np.exp(chance.normal(0.0, 0.02, rows)),
        "queue": np.where(over, 60.0, 1.0),
        "replicas": np.full(rows, 4.0),
        "batch_limit": np.full(rows, 8.0),
    } | columns
    kept = ~np.isin(np.arange(rows), list(gap or ()))
    return frame(
        source="made.csv",
        sha256="0" * 64,
        time_s=times[kept],
        columns={name: values[kept] for name, values in found.items() if values is not None},
    )


def managed(name: str = "made", **changes: Any) -> Managed:
    """Return a deployment that may have 2 to 8 replicas."""
    plain = Managed(
        name=name,
        mode=Mode.AUTO,
        scrape_ns=15 * SECOND,
        objective=Objective(latency_p95_ms=PROMISED_MS, error_ratio=0.01),
        stable_pool="a",
        fallback_pool=None,
        scale_actuator="process",
        traffic_actuator=None,
        replica_usd_per_hour=1.0,
        guard=GuardPolicy(limits=(LeverLimit(lever="replicas.", low=2, high=8),)),
        policy_digest="0" * 64,
    )
    return replace(plain, **changes)


def replayed(*pairs: tuple[Managed, Frame]) -> tuple[list[Seen], list[History], Grid]:
    """Return what the replay of some deployments came to, side by side."""
    step_ns = STEP_S * SECOND
    entries = [shadow.shadow(entry, step_ns) for entry, _ in pairs]
    grid = recorded.grid_of([frame for _, frame in pairs], step_ns)
    histories = [
        recorded.history(frame, entry, grid)
        for entry, (_, frame) in zip(entries, pairs, strict=True)
    ]
    seen = play(senses, wiring.loop_parts(), entries, histories, grid)
    return seen, histories, grid


def senses(past: Past) -> Any:
    """Return the shipped senses with the history in place of sources."""
    return replace(wiring.sense_parts(), signals=past)
