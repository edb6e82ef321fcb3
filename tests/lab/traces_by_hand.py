"""Traces written by hand: a healthy deployment, of which a test changes what it is about.

100 requests per second, p99 0.2 s of 0.5 s promised, four replicas of A and one of B, 4 USD/h of a
budget of 8 USD/h, accuracy 0.90 of a floor of 0.85. The onset is at 600 s.
"""

from typing import Any, Final, cast

import numpy as np

from homeostat.lab.types import Episode, Trace
from homeostat.twin import params as p
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.shapes import FAULTS, SCRAPE_S

ONSET: Final = 600
HOUR: Final = 3600
VARIANTS: Final = 3
SLOTS: Final = 8


def group(kind: Any, **values: Any) -> Any:
    """A parameter group with zeros for what the judge never reads."""
    return kind(**(dict.fromkeys(kind.__dataclass_fields__, np.float32(0)) | values))


def episode(length_s: int = HOUR, *, seed: int = 0, **changes: Any) -> Episode:
    params = group(
        p.Params,
        quality=group(p.Quality, floor=np.float32(0.85)),
        money=group(p.Money, hard_cap=np.float32(8), budget_usd_per_hour=np.float32(8)),
        promise=group(p.Promise, p99_s=np.float32(0.5), availability=np.float32(0.999)),
    )
    told: dict[str, Any] = {
        "scenario": "S05",
        "seed": seed,
        "family": "infrastructure",
        "length_s": length_s,
        "onset_s": float(ONSET),
        "recoverable": True,
        "benign": False,
        "slots": SLOTS,
        "params": params,
        "faults": faults(),
    }
    return Episode(**(told | changes))


def faults(primitive: int = 0, *, start_s: float = np.inf, stop_s: float = np.inf) -> Faults:
    """Faults of which the first is as told and the rest never happen."""
    start = np.full(FAULTS, np.inf)
    start[0] = start_s
    return group(  # type: ignore[no-any-return]
        Faults,
        primitive=np.full(FAULTS, primitive),
        magnitude=np.zeros(FAULTS),
        start_s=start,
        stop_s=np.full(FAULTS, stop_s),
    )


def truth(length_s: int = HOUR, n: int = 1, **changes: Any) -> Truth:
    """Healthy ticks [n, length_s], with some fields replaced (broadcast)."""
    flat: dict[str, Any] = {
        "offered": 100.0, "good": 100.0, "refused": 0.0, "attempts": 100.0, "errors": 0.0,
        "latency_s": 0.05, "p50_s": 0.05, "p95_s": 0.1, "p99_s": 0.2, "capacity": 150.0,
        "demand": 100.0, "usd_per_hour": 4.0, "quality": 0.90, "slice_quality": 0.90,
        "queue": 5.0, "undrained": 0.0, "signal_age_s": 15.0,
    }  # fmt: skip
    each: dict[str, Any] = {
        "ready": [4.0, 1.0, 0.0],
        "held": [4.0, 1.0, 0.0],
        "weights": [1.0, 0.0, 0.0],
        "variant_errors": [0.0, 0.0, np.nan],
        "variant_p99_s": [0.2, 0.2, np.nan],
        "variant_quality": [0.90, 0.90, np.nan],
    }
    never = ("faulty", "acted", "destroyed", "ungated", "evidence_low")
    fields = {name: np.full((n, length_s), value) for name, value in flat.items()}
    fields |= {name: np.tile(value, (n, length_s, 1)) for name, value in each.items()}
    fields |= {name: np.zeros((n, length_s), bool) for name in never}
    fields |= {
        name: np.array(np.broadcast_to(value, fields[name].shape), fields[name].dtype)
        for name, value in changes.items()
    }
    return Truth(**cast("Any", fields))


def during(begin: int, end: int, inside: float, outside: float, length_s: int = HOUR) -> np.ndarray:
    """A series that has one value in [begin, end) and another elsewhere [1, length_s]."""
    out = np.full((1, length_s), outside)
    out[:, begin:end] = inside
    return out


def at(*ticks: int, length_s: int = HOUR) -> np.ndarray:
    """True in some ticks [1, length_s]."""
    out = np.zeros((1, length_s), bool)
    out[0, list(ticks)] = True
    return out


def trace(
    told: Truth, episodes: tuple[Episode, ...] | None = None, policy: str = "ours", **moves: Any
) -> Trace:
    """A trace in which nothing is said or done but what is named; signals are 15 s old."""
    n, length = np.shape(told.offered)
    shape = (n, length // SCRAPE_S)
    kinds = {"family": int, "person_minutes": float, "breach_probability": float}
    defaults: dict[str, Any] = {
        "intervened": False, "paged": False, "family": -1, "destructive": False,
        "person_minutes": 0.0, "alarm": False,
    }  # fmt: skip
    age = moves.pop("signal_age_s", 15.0)
    made: dict[str, Any] = {
        name: np.array(np.broadcast_to(value, shape), kinds.get(name, bool))
        for name, value in (defaults | moves).items()
    }
    default = tuple(episode(length, seed=seed) for seed in range(n))
    return Trace(
        episodes=episodes or default,
        policy=policy,
        truth=told,
        moves=made,
        signal_age_s=np.array(np.broadcast_to(age, shape), float),
    )


def orders(length_s: int = HOUR, n: int = 1, **changes: Any) -> Orders:
    """Orders that change nothing, in force during each scrape [n, D, ...]."""
    scrapes = length_s // SCRAPE_S
    fields: dict[str, np.ndarray] = {
        "replicas": np.tile([4.0, 1.0, 0.0], (n, scrapes, 1)),
        "weights": np.tile([1.0, 0.0, 0.0], (n, scrapes, 1)),
        "batch_max": np.full((n, scrapes, VARIANTS), 8.0),
        "concurrency": np.full((n, scrapes), 64.0),
        "admit_rps": np.full((n, scrapes), np.inf),
        "restart": np.zeros((n, scrapes, SLOTS), bool),
        "drain": np.zeros((n, scrapes, SLOTS), bool),
        "rollback": np.zeros((n, scrapes, VARIANTS), bool),
        "retrain": np.zeros((n, scrapes), bool),
        "retrain_ungated": np.zeros((n, scrapes), bool),
        "person_fixes": np.zeros((n, scrapes), bool),
        "by_us": np.zeros((n, scrapes), bool),
    }
    return Orders(**(fields | changes))
