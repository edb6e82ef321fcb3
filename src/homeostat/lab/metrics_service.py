"""What users and the bill saw in each episode: objectives met, latency, errors, recovery, cost.

Sums and times per episode, from the truth alone; rates and intervals come later (`metrics`), so
that they can be weighted by requests and resampled. Definitions are those of the suite's metric
table. Readings:

- Windows and seconds without a request are left out: nobody was served well or badly.
- MTTR runs from the onset of the fault, not from the first damage, to the beginning of the first
  120 s in order after that damage (see `metrics_windows`: a second above the limit now and then is
  none). A fault whose damage never shows has been repaired in no time. Beside it stand two readings
  that soften nothing: every second outside the objectives counts as damage (`repair_any_s`), and
  the letter of the definition, the first 120 s in order from the onset on, even where the damage
  comes later (`repair_literal_s`).
- Time to recovery (p99 only) runs from the first damage to latency to the beginning of such 120 s;
  episodes without it have none.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from homeostat.lab.judge_view import Floats, Mask, View, array, run_length, ticks, violated
from homeostat.lab.metrics_windows import damaged, too_slow, windows
from homeostat.lab.thresholds import Thresholds
from homeostat.twin.shapes import TICK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Per episode [N]; NaN where a time does not apply to the episode.

    Attributes:
        windows: Windows with requests.
        windows_met: Of them those that met every objective.
        windows_requests: Requests in those windows.
        windows_met_requests: Requests in the windows that met them.
        counted_s: Seconds with requests.
        up_s: Of them those that count as up.
        quality_s: Seconds with quality at or above the promised floor.
        watched_s: Seconds of the episode.
        offered: Unique requests.
        failed: Of them those not answered right in time, refused ones included.
        refused: Refused on purpose.
        latency_s: Sum over requests, given-up ones at the deadline.
        violation_s: Seconds in which any objective was violated.
        follow_up_s: From the onset of the fault to the end of the episode; NaN without a fault.
        repair_s: Onset to recovery, or to the end of the episode.
        repaired: Whether it recovered.
        repair_any_s: As `repair_s`, every second outside the objectives being damage.
        repaired_any: Whether that recovered.
        repair_literal_s: Onset to the first 120 s in order, or to the end of the episode.
        repaired_literal: Whether there were such.
        recovery_s: First slow second to p99 back, or to the end; NaN when it was never slow.
        recovered: Whether it came back.
        usd: Spent.
    """

    windows: Floats
    windows_met: Floats
    windows_requests: Floats
    windows_met_requests: Floats
    counted_s: Floats
    up_s: Floats
    quality_s: Floats
    watched_s: Floats
    offered: Floats
    failed: Floats
    refused: Floats
    latency_s: Floats
    violation_s: Floats
    follow_up_s: Floats
    repair_s: Floats
    repaired: Mask
    repair_any_s: Floats
    repaired_any: Mask
    repair_literal_s: Floats
    repaired_literal: Mask
    recovery_s: Floats
    recovered: Mask
    usd: Floats


def service(seen: View, thresholds: Thresholds) -> Service:
    """Return what users and the bill saw of a batch of episodes."""
    truth, valid = seen.truth, seen.valid
    offered = np.where(valid, array(truth.offered), 0.0) * TICK_S
    good = np.where(valid, array(truth.good), 0.0) * TICK_S
    latency = np.where(offered > 0.0, array(truth.latency_s), 0.0)
    sums = {
        "quality_s": ((array(truth.quality) >= seen.floor) & valid).sum(axis=1) * TICK_S,
        "watched_s": valid.sum(axis=1) * TICK_S,
        "offered": offered.sum(axis=1),
        "failed": (offered - good).sum(axis=1),
        "refused": np.where(valid, array(truth.refused), 0.0).sum(axis=1) * TICK_S,
        "latency_s": (offered * latency).sum(axis=1),
        "usd": np.where(valid, array(truth.usd_per_hour), 0.0).sum(axis=1) * TICK_S / 3600.0,
    }
    return Service(
        **sums,
        **_windows(seen, thresholds),
        **_uptime(seen, offered, good, thresholds),
        **_recovery(seen, thresholds),
    )


def _windows(seen: View, thresholds: Thresholds) -> dict[str, Any]:
    found = windows(seen, thresholds)
    return {
        "windows": found.counted.sum(axis=1).astype(np.float64),
        "windows_met": found.met.sum(axis=1).astype(np.float64),
        "windows_requests": np.where(found.counted, found.requests, 0.0).sum(axis=1),
        "windows_met_requests": np.where(found.met, found.requests, 0.0).sum(axis=1),
    }


def _uptime(seen: View, offered: Floats, good: Floats, thresholds: Thresholds) -> dict[str, Any]:
    counted = seen.valid & (offered > 0.0)
    up = counted & (good >= (thresholds.uptime_good - 1e-6) * offered)
    up &= array(seen.truth.p99_s) <= thresholds.uptime_p99_slos * seen.p99_slo_s
    return {"counted_s": counted.sum(axis=1) * TICK_S, "up_s": up.sum(axis=1) * TICK_S}


def _recovery(seen: View, thresholds: Thresholds) -> dict[str, Any]:
    bad, slow = violated(seen), too_slow(seen)
    least = ticks(thresholds.recovered_for_s)
    end = seen.valid.sum(axis=1)
    onset = seen.onset_tick[:, 0]
    faulty = onset < end
    here = np.arange(bad.shape[1]) >= seen.onset_tick
    begun = {"": damaged(seen, thresholds), "_any": bad, "_literal": here}
    repairs: dict[str, Any] = {}
    for name, hurt in begun.items():
        first, back, done = _first_stretch(hurt, bad, seen, least)
        repair = np.where(first < 0, 0, np.where(done, back, end) - onset)
        repairs[f"repair{name}_s"] = np.where(faulty, repair * TICK_S, np.nan)
        repairs[f"repaired{name}"] = faulty & ((first < 0) | done)
    hurt = damaged(seen, thresholds, latency_alone=True)
    first_slow, fast, fast_done = _first_stretch(hurt, slow, seen, least)
    recovery = np.where(fast_done, fast, end) - first_slow
    return {
        "violation_s": bad.sum(axis=1) * TICK_S,
        "follow_up_s": np.where(faulty, (end - onset) * TICK_S, np.nan),
        **repairs,
        "recovery_s": np.where(faulty & (first_slow >= 0), recovery * TICK_S, np.nan),
        "recovered": faulty & fast_done,
    }


def _first_stretch(
    hurt: Mask, bad: Mask, seen: View, least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first damage after the onset, where order begins after it, and whether."""
    index = np.arange(bad.shape[1])
    after = hurt & (index >= seen.onset_tick)
    first = np.where(after.any(axis=1), after.argmax(axis=1), -1)
    ahead = run_length((seen.valid & ~bad)[:, ::-1])[:, ::-1]
    ordered = (ahead >= least) & (index >= first[:, None]) & (first >= 0)[:, None]
    return first, np.asarray(ordered.argmax(axis=1)), np.asarray(ordered.any(axis=1))
