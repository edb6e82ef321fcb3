"""One episode for people: its picture's values, its trace as a table, and how it went in words."""

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any, Final

import numpy as np

from homeostat.lab.blame import Blamed
from homeostat.lab.judge import CODES
from homeostat.lab.metrics_score import Scores
from homeostat.lab.scenario import Scenario
from homeostat.lab.types import FAMILIES
from homeostat.lab.world import Played
from homeostat.report.strips import Mark, Strip
from homeostat.twin.shapes import SCRAPE_S, TICK_S

_VARIANTS: Final = ("a", "b", "canary")
_LEVERS: Final = ("replicas", "weights", "batch_max", "concurrency", "admit_rps", "drain")
_IMPULSES: Final = ("restart", "rollback", "retrain", "retrain_ungated")


def strip_of(title: str, played: Played, scores: Scores) -> Strip:
    """Return the first episode of a batch as its picture needs it.

    Args:
        title: Of the picture.
        played: What happened.
        scores: Of the same batch.
    """
    episode, truth = played.trace.episodes[0], played.trace.truth
    length = int(episode.length_s / TICK_S)

    def line(name: str) -> np.ndarray:
        values = np.asarray(getattr(truth, name)[0], dtype=float)[:length]
        return values.sum(axis=1) if values.ndim > 1 else values

    names = (
        "demand", "good", "capacity", "p99_s", "quality", "slice_quality", "ready", "held",
        "usd_per_hour",
    )  # fmt: skip
    params = episode.params
    return Strip(
        title=title,
        lines={name: line(name) for name in names},
        tick_s=TICK_S,
        p99_limit_s=float(params.promise.p99_s),
        quality_floor=float(params.quality.floor),
        budget_usd_per_hour=float(params.money.budget_usd_per_hour),
        faults=spans(np.asarray(truth.faulty[0], dtype=bool)[:length]),
        marks=sorted(_moves(played) + _codes(scores), key=lambda mark: mark.at_s),
    )


def spans(active: np.ndarray) -> list[tuple[float, float]]:
    """Return the stretches (start, end) in seconds in which something is true.

    >>> spans(np.array([False, True, True, False, True]))
    [(1.0, 3.0), (4.0, 5.0)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(int)))
    return [(float(a) * TICK_S, float(b) * TICK_S) for a, b in edges.reshape(-1, 2)]


def csv_of(played: Played) -> str:
    """Return the first episode of a batch as CSV: every tick's truth, and what was decided.

    A decision stands in the row of the tick that follows the scrape it was made at.
    """
    truth = played.trace.truth
    length = int(played.trace.episodes[0].length_s / TICK_S)
    columns = {"t_s": np.arange(length) * TICK_S}
    for name in vars(truth) if hasattr(truth, "__dict__") else truth.__dataclass_fields__:
        values = np.asarray(getattr(truth, name)[0])[:length]
        if values.ndim == 1:
            columns[name] = values
        else:
            columns |= {f"{name}_{v}": values[:, i] for i, v in enumerate(_VARIANTS)}
    decided = {at: text for at, kind, text in _decisions(played) if kind == "action"}
    told = {at for at, kind, _ in _decisions(played) if kind == "person"}
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*columns, "decision", "person_told"])
    for tick in range(length):
        at = columns["t_s"][tick]
        row = [_text(values[tick]) for values in columns.values()]
        writer.writerow([*row, decided.get(at, ""), int(at in told)])
    return out.getvalue()


def summary_of(policy: str, scenario: Scenario, scores: Scores) -> dict[str, Any]:
    """Return how the first episode of a batch went, as plain values; None = does not apply."""
    served, asked = scores.service, scores.people
    caught = scores.judgement
    fired = [code for code, hit in zip(CODES, caught.any[0], strict=True) if hit]
    return {
        "scenario": scenario.id,
        "name": scenario.name,
        "policy": policy,
        "seed": scores.seed[0],
        "caused": list(caught.codes(0)),
        "fired": fired,
        "near_misses": int(caught.near_misses[0]),
        "repaired": bool(served.repaired[0]) if _known(served.repair_s[0]) else None,
        "repair_s": _known(served.repair_s[0]),
        "told_the_right_people_s": _known(asked.escalation_s[0]),
        "good_share": _ratio(served.offered[0] - served.failed[0], served.offered[0]),
        "sla_compliance": _ratio(served.windows_met[0], served.windows[0]),
        "violation_s": float(served.violation_s[0]),
        "spend_usd": round(float(served.usd[0]), 4),
        "person_minutes": round(float(asked.minutes[0]), 2),
        "best": [f"{a.do} ({a.when})" if a.when else a.do for a in scenario.best],
    }


def why_of(played: Played, found: Sequence[Blamed]) -> list[str]:
    """Return in words which own action each catastrophe of the first episode goes back to."""
    return [
        f"{one.code}: standing by"
        if one.number is None or one.decision is None
        else f"{one.code}: action {one.number} at {one.at_s:g} s, {changes(played, one.decision)}"
        for one in found
    ]


def changes(played: Played, at: int) -> str:
    """Return in words what orders a decision changed: `replicas 3 0 0 to 4 0 0, restart 2`.

    Args:
        played: What happened.
        at: Number of the decision; its orders stand during the next scrape.
    """
    orders = played.orders
    last = np.shape(orders.admit_rps)[1] - 1
    if at >= last:
        return "at the end"
    said = []
    for name in _LEVERS:
        before, after = (np.asarray(getattr(orders, name))[0, i] for i in (at, at + 1))
        if not np.array_equal(before, after):
            said.append(f"{name} {_values(before)} to {_values(after)}")
    for name in _IMPULSES:
        now = np.atleast_1d(np.asarray(getattr(orders, name))[0, at + 1])
        if now.any():
            which = "" if now.size == 1 else f" {_values(np.flatnonzero(now))}"
            said.append(f"{name}{which}")
    return ", ".join(said) or "nothing new"


def _decisions(played: Played) -> list[tuple[float, str, str]]:
    """Return (seconds, kind, text) of every intervention and every call for a person."""
    moves, found = played.trace.moves, []
    for at in range(np.shape(moves["intervened"])[1]):
        when = float((at + 1) * SCRAPE_S)
        if moves["intervened"][0, at]:
            found.append((when, "action", changes(played, at)))
        if moves["paged"][0, at]:
            family = int(moves["family"][0, at])
            named = f": {FAMILIES[family]}" if family >= 0 else ""
            found.append((when, "person", f"a person is told{named}"))
    return found


def _moves(played: Played) -> list[Mark]:
    return [Mark(at_s=at, kind=kind, text=text) for at, kind, text in _decisions(played)]


def _codes(scores: Scores) -> list[Mark]:
    caught = scores.judgement
    return [
        Mark(at_s=float(tick) * TICK_S, kind="code", text=f"{code} caused")
        for code, tick in zip(CODES, caught.caused_tick[0], strict=True)
        if tick >= 0
    ]


def _values(array: np.ndarray) -> str:
    flat = np.atleast_1d(array)
    if flat.dtype == bool:
        flat = np.flatnonzero(flat)
    return " ".join(f"{v:g}" for v in flat.tolist()) or "none"


def _text(value: Any) -> str:
    if isinstance(value, np.bool_):
        return str(int(value))
    return f"{float(value):.6g}" if not np.isnan(value) else ""


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _ratio(part: Any, whole: Any) -> float | None:
    return round(float(part / whole), 6) if whole > 0 else None
