"""How often a backtest's interval of what was saved holds what really would have been.

Histories are made in the lab's world: six hours with a daily rhythm made short, two rushes for
which a schedule adds replicas, and one that nobody planned for and that holding suffers from. They
are recorded minute by minute as range queries would have answered. The backtest sees the recording
alone and says what one more replica would have saved; the same episodes are then played again with
that replica, with the same chance, and the two recordings are compared.

    python benchmarks/backtest_saved.py [--histories 96] [--first-seed 0] [--out FILE]
"""

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat.base.actions import ActionKind
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.cli.backtest_saved import Saved
from homeostat.lab.baselines.levers import changed, move, standing
from homeostat.lab.controller_counters import COLUMN, Counters
from homeostat.lab.controller_names import START_S
from homeostat.lab.controller_parts import managed
from homeostat.lab.draw import draw, slots_for
from homeostat.lab.scenario import Fault, Load, Onset, OnsetShape, Profile, Range, Scenario, Target
from homeostat.lab.types import Episode, Move
from homeostat.lab.world import WIDTH, World, compiled
from homeostat.server import wiring
from homeostat.server.backtest import recorded, shadow
from homeostat.server.backtest.found import Course, found
from homeostat.server.backtest.play import play
from homeostat.signals.past import Past
from homeostat.stats.exact import clopper_pearson
from homeostat.twin import signals
from homeostat.twin.fit_frame import Floats, Frame, frame
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Phase, Variant

ROW_S: Final = 60
LENGTH_S: Final = 6 * 3600
_QUEUE: Final = signals.SLOT_SIGNALS.index("queue_length")
_EXTRA: Final = ((5100, 0), (9000, 1), (10_500, 0), (14_400, 2))  # until then, so many more


def _planned(start_s: float, low: float, high: float) -> Fault:
    """Return a rush for which replicas are added beforehand."""
    return Fault(
        primitive="arrival_mult",
        magnitude=Range(low=low, high=high),
        target=Target.DEPLOYMENT,
        onset=Onset(
            shape=OnsetShape.RAMP,
            until_fixed=False,
            start_s=Range(low=start_s, high=start_s + 300),
            ramp_s=Range(low=300, high=600),
            duration_s=Range(low=1800, high=2700),
        ),
    )


RUSH: Final = Scenario(
    id="B01",
    name="rush",
    family="load",
    summary="A rhythm, two rushes that were planned for, and one that nobody planned for.",
    faults=(
        Fault(
            primitive="arrival_mult",
            magnitude=Range(low=1.3, high=2.0),
            target=Target.DEPLOYMENT,
        ),
        _planned(5700, 1.2, 1.7),
        _planned(11_100, 1.4, 2.2),
    ),
    onset=Onset(
        shape=OnsetShape.RAMP,
        until_fixed=False,
        start_s=Range(low=16_000, high=17_400),
        ramp_s=Range(low=30, high=300),
        duration_s=Range(low=1200, high=3000),
    ),
    length_s=LENGTH_S,
    recoverable=True,
    self_heals=True,
    deployment={"replicas": Range(low=3, high=5, whole=True), "base_rho": Range(low=0.4, high=0.6)},
    load=Load(
        profile=Profile.DIURNAL,
        peak_ratio=Range(low=1.1, high=1.7),
        period_s=Range(low=5000, high=9000),
    ),
)


class Scheduled:
    """Follows a schedule of replicas, adds what was decided, and records what a query would say.

    Args:
        added: Seconds and replicas of each episode that are added from then on; None = nothing.
    """

    name = "scheduled"

    def __init__(self, added: Sequence[tuple[float, float] | None]) -> None:
        self._added = added

    def start(self, episodes: Sequence[Episode]) -> None:
        """Begin the recording."""
        promised = np.array([float(e.params.promise.p99_s) for e in episodes])
        self._counters = Counters(promised, episodes[0].slots)
        self._standing = standing(episodes)
        self._before = self._all()
        self._gauges: list[Floats] = []
        self.rows: list[dict[str, Floats]] = []

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Record a scrape; return the replicas that are wanted now."""
        self._counters.take(now_s, scrape)
        phase, variant = np.asarray(scrape.phase), np.asarray(scrape.slot_variant)
        serving = (phase == Phase.READY) & (variant == Variant.A)
        queue = np.nansum(np.where(serving, np.asarray(scrape.slot)[..., _QUEUE], 0.0), axis=1)
        wanted, limit = np.asarray(scrape.replicas), np.asarray(scrape.batch_max)
        self._gauges.append(
            np.stack([queue, serving.sum(axis=1), wanted[:, 0], limit[:, 0]]).astype(float)
        )
        if round(now_s) % ROW_S == 0:
            self.rows.append(self._row())
            self._gauges = []
        extra = next((more for until, more in _EXTRA if now_s < until), 0)
        replicas = np.asarray(self._standing.replicas).copy()
        replicas[:, Variant.A] += extra
        for number, one in enumerate(self._added):
            if one is not None and now_s >= one[0]:
                replicas[number, Variant.A] += one[1]
        return move(changed(self._standing, replicas=replicas))

    def _all(self) -> dict[str, Floats]:
        gateway = self._counters.gateway
        return {
            "total": gateway.total.copy(),
            "buckets": gateway.buckets.copy(),
            "slots": self._counters.slots.sum(axis=1),
        }

    def _row(self) -> dict[str, Floats]:
        now = self._all()
        gained = {name: now[name] - self._before[name] for name in now}
        self._before = now
        arrived, ok, bad, refused = np.moveaxis(gained["total"], -1, 0)
        slots = {name: gained["slots"][:, place] for name, place in COLUMN.items()}
        queue, ready, wanted, limit = self._gauges[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "request_rate": arrived / ROW_S,
                "throughput": ok / ROW_S,
                "error_rate": np.maximum(bad - refused, 0.0) / ROW_S,
                "latency_p50_s": quantile(gained["buckets"], self._counters.bounds_ms, 0.5),
                "latency_p95_s": quantile(gained["buckets"], self._counters.bounds_ms, 0.95),
                "latency_p99_s": quantile(gained["buckets"], self._counters.bounds_ms, 0.99),
                "batch_size": slots["batched"] / slots["batches"],
                "service_s": slots["device_s"] / slots["batches"],
                "queue": queue,
                "replicas": ready,
                "replicas_wanted": wanted,
                "batch_limit": limit,
            }


def quantile(buckets: Floats, bounds_ms: Floats, share: float) -> Floats:
    """Return a quantile in seconds as a Prometheus' `histogram_quantile` does, NaN of nothing."""
    out = np.full(len(buckets), np.nan)
    for number, (counts, bounds) in enumerate(zip(buckets, bounds_ms, strict=True)):
        if not counts[-1] > 0.0:
            continue
        rank = share * counts[-1]
        place = int(np.searchsorted(counts, rank))
        if place >= len(bounds) - 1:
            out[number] = bounds[-2] / 1000.0
            continue
        below = counts[place - 1] if place else 0.0
        least = bounds[place - 1] if place else 0.0
        within = (rank - below) / max(counts[place] - below, 1e-12)
        out[number] = (least + within * (bounds[place] - least)) / 1000.0
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One history, what the backtest said of it, and when it would have acted."""

    episode: Episode
    entry: Managed
    course: Course
    said: dict[str, Any]
    at_s: float
    replicas: float
    rows: slice


def frames(policy: Scheduled, episodes: Sequence[Episode]) -> list[Frame]:
    """Return the recordings of a play."""
    times: Floats = np.asarray(START_S + ROW_S * (1.0 + np.arange(len(policy.rows))), float)
    return [
        frame(
            source=f"{one.scenario}-{one.seed}.csv",
            sha256=hashlib.sha256(f"{one.scenario} {one.seed}".encode()).hexdigest(),
            time_s=times,
            columns={
                name: np.array([row[name][number] for row in policy.rows])
                for name in policy.rows[0]
            },
        )
        for number, one in enumerate(episodes)
    ]


def cases(episodes: Sequence[Episode], held: Sequence[Frame]) -> tuple[list[Case], dict[str, int]]:
    """Return what the backtest says of recordings, and how many it says nothing of, and why."""
    step_ns = ROW_S * SECOND
    entries = [managed(one, f"h-{one.seed:05d}") for one in episodes]
    shadows = [shadow.shadow(entry, step_ns) for entry in entries]
    grid = recorded.grid_of(held, step_ns)
    histories = [recorded.history(f, e, grid) for f, e in zip(held, shadows, strict=True)]
    seen = play(senses, wiring.loop_parts(), shadows, histories, grid)
    kept: list[Case] = []
    left_out: dict[str, int] = {}
    every = zip(episodes, entries, held, histories, seen, strict=True)
    for episode, entry, frame_, history, one in every:
        courses = found(one, history, grid).courses
        acted = [c for c in courses if c.wanted and c.wanted[1].kind is ActionKind.SCALE_UP]
        said = Saved(frame_, history, entry, grid, episode.seed).of(tuple(acted[:1]))
        for course in acted[:1]:
            answer = said[course.incident.id]
            if answer["minutes"] is None:
                why = re.sub(r"[0-9.]+", "N", answer["why"])
                left_out[why] = left_out.get(why, 0) + 1
                continue
            tick, action = course.wanted or (0, None)
            last = history.last if course.closed is None else course.closed
            wanted = float(dict(action.change)["replicas.a"]) if action is not None else 0.0
            kept.append(
                Case(
                    episode=episode,
                    entry=entry,
                    course=course,
                    said=answer,
                    at_s=(tick + 1.0) * ROW_S,
                    replicas=wanted - float(history.ready[tick]),
                    rows=slice(tick + 1, last + 1),
                )
            )
        if not acted:
            left_out["no scale_up"] = left_out.get("no scale_up", 0) + 1
    return kept, left_out


def senses(past: Past) -> Any:
    """Return the shipped senses with the history in place of sources."""
    return replace(wiring.sense_parts(), signals=past)


def missed(one: Frame, entry: Managed, rows: slice) -> float:
    """Return the minutes of some rows in which an objective was seen to be missed."""
    promised = entry.objective
    late = one["latency_p95_s"] * 1000.0 > promised.latency_p95_ms
    answered = one["throughput"] + one["error_rate"]
    with np.errstate(invalid="ignore", divide="ignore"):
        failing = one["error_rate"] / answered > promised.error_ratio
    return float((late | failing)[rows].sum()) * ROW_S / 60.0


def play_both(episodes: Sequence[Episode], world: World) -> tuple[list[dict[str, Any]], Any]:
    """Return one row for each history of which something was said, and why nothing of others."""
    hold = Scheduled([None] * len(episodes))
    world.play(hold, episodes)
    held = frames(hold, episodes)
    found_, left_out = cases(episodes, held)
    place = {one.episode.seed: one for one in found_}
    added = [
        (place[e.seed].at_s, place[e.seed].replicas) if e.seed in place else None for e in episodes
    ]
    acting = Scheduled(added)
    world.play(acting, episodes)
    acted = frames(acting, episodes)
    rows = []
    for number, episode in enumerate(episodes):
        case = place.get(episode.seed)
        if case is None:
            continue
        before = missed(held[number], case.entry, case.rows)
        after = missed(acted[number], case.entry, case.rows)
        ends = case.said["minutes"]
        rows.append({
            "seed": episode.seed,
            "held": before,
            "acted": after,
            "truth": before - after,
            "low": ends["low"],
            "value": ends["value"],
            "high": ends["high"],
        })
    return rows, left_out


def main() -> None:
    """Play, compare and print."""
    asks = argparse.ArgumentParser(description=__doc__)
    asks.add_argument("--histories", type=int, default=96)
    asks.add_argument("--first-seed", type=int, default=0)
    asks.add_argument("--out", type=Path, default=None)
    asked = asks.parse_args()
    slots, began = slots_for(RUSH), time.monotonic()
    world = World(compiled(slots))
    rows: list[dict[str, Any]] = []
    left_out: dict[str, int] = {}
    seeds = range(asked.first_seed, asked.first_seed + asked.histories)
    for first in range(0, len(seeds), WIDTH):
        episodes = [draw(RUSH, seed, slots=slots) for seed in seeds[first : first + WIDTH]]
        some, why = play_both(episodes, world)
        rows += some
        for reason, count in why.items():
            left_out[reason] = left_out.get(reason, 0) + count
        print(f"{len(rows)} of {first + len(episodes)}, {time.monotonic() - began:.0f} s",
              file=sys.stderr, flush=True)  # fmt: skip
    said = told(rows, left_out, asked.histories)
    if asked.out is not None:
        asked.out.write_text(json.dumps({"rows": rows, **said}, indent=1) + "\n")
    print(json.dumps(said, indent=1))


def told(rows: Sequence[dict[str, Any]], left_out: dict[str, int], total: int) -> dict[str, Any]:
    """Return the figures."""
    inside = sum(row["low"] <= row["truth"] <= row["high"] for row in rows)
    truth = np.array([row["truth"] for row in rows])
    value = np.array([row["value"] for row in rows])
    width = np.array([row["high"] - row["low"] for row in rows])
    ends = clopper_pearson(inside, len(rows), 0.9) if rows else (float("nan"), float("nan"))
    return {
        "histories": total,
        "said": len(rows),
        "unknown": left_out,
        "covered": inside,
        "coverage": inside / len(rows) if rows else None,
        "coverage_interval": ends,
        "below": sum(row["truth"] < row["low"] for row in rows),
        "above": sum(row["truth"] > row["high"] for row in rows),
        "truth_minutes_mean": float(truth.mean()) if rows else None,
        "said_minutes_mean": float(value.mean()) if rows else None,
        "width_minutes_median": float(np.median(width)) if rows else None,
    }


if __name__ == "__main__":
    main()
