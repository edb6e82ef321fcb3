"""The fit file: a fitted twin as plain JSON values, and back.

What is not known is null, never a number: null for an interval's upper end means unbounded where
`known` is `bound`. The format's name changes when a reader of the old one would go wrong; a file
that was written before fits had a date has none.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.twin import fit_window
from homeostat.twin.fit import BEYOND, HORIZON_S, Fit, LawNotes
from homeostat.twin.fit_estimate import Estimate, Known
from homeostat.twin.fit_plan import Choice, Plan
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_region import Region
from homeostat.twin.fit_window import Window

FORMAT: Final = "homeostat-twin-fit/1"
_DIGITS: Final = 7
_LAW: Final = 3


def to_plain(found: Fit) -> dict[str, Any]:
    """Return a fit as `json` writes it."""
    return {
        "format": FORMAT,
        "input": {
            "source": found.source,
            "sha256": found.sha256,
            "unit": found.unit,
            "rows": found.rows,
            "span_s": _number(found.span_s),
            "step_s": _number(found.step_s),
            "begins": fit_window.text(found.window.begins_s),
            "ends": fit_window.text(found.window.ends_s),
        },
        "parameters": [_estimate(one) for one in found.estimates.values()],
        "interval": 0.9,
        "not_identifiable": list(BEYOND),
        "batch_limit": _number(found.batch_limit),
        "law": _law(found.law),
        "refinement": {"rows": found.refined, "log_factors": [_number(v) for v in found.factors]},
        "region": _region(found.region),
        "plans": [_plan(one) for one in found.plans],
        "predictive": {name: _spread(one) for name, one in found.spreads.items()},
        "naive": {
            "horizon_s": HORIZON_S,
            "signals": {name: _spread(one) for name, one in found.naive.items()},
        },
        "draws": {
            "columns": ["tau0_s", "alpha_s", "cv2"],
            "rows": [[_number(v) for v in row] for row in found.draws.tolist()],
        },
        "notes": list(found.notes),
    }


def from_plain(plain: Any, file: str) -> Fit:
    """Return the fit that `to_plain` wrote.

    Args:
        plain: What `json` read.
        file: Its name, for messages.

    Raises:
        ConfigError: It is no fit file of this format.
    """
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ConfigError(f"{file}: no fit file ({FORMAT}); make one with `homeostat twin fit`")
    try:
        return _read(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{file}: a damaged fit file ({error!r}); make it anew with `homeostat twin fit`"
        ) from error


def _read(plain: Mapping[str, Any]) -> Fit:
    given, law = plain["input"], plain["law"]
    estimates = [_estimate_from(one) for one in plain["parameters"]]
    return Fit(
        source=str(given["source"]),
        sha256=str(given["sha256"]),
        unit=str(given["unit"]),
        rows=int(given["rows"]),
        span_s=float(given["span_s"]),
        step_s=float(given["step_s"]),
        estimates={one.name: one for one in estimates},
        draws=np.asarray(
            [[_known(v) for v in row] for row in plain["draws"]["rows"]], float
        ).reshape(-1, _LAW),
        batch_limit=float(plain["batch_limit"]),
        law=None if law is None else _law_from(law),
        factors=tuple(map(float, plain["refinement"]["log_factors"])),
        refined=int(plain["refinement"]["rows"]),
        spreads={name: _spread_from(name, one) for name, one in plain["predictive"].items()},
        naive={name: _spread_from(name, one) for name, one in plain["naive"]["signals"].items()},
        region=_region_from(plain["region"]),
        plans=tuple(_plan_from(one) for one in plain["plans"]),
        notes=tuple(map(str, plain["notes"])),
        window=Window(
            begins_s=fit_window.from_text(given.get("begins")),
            ends_s=fit_window.from_text(given.get("ends")),
        ),
    )


def _number(value: float | None) -> float | None:
    """Return a value with so many digits; null if it is none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def _known(value: Any) -> float:
    return math.nan if value is None else float(value)


def _estimate(one: Estimate) -> dict[str, Any]:
    return {
        "name": one.name,
        "unit": one.unit,
        "value": _number(one.value),
        "low": _number(one.low),
        "high": _number(one.high),
        "known": one.known.value,
        "why": one.why,
    }


def _estimate_from(plain: Mapping[str, Any]) -> Estimate:
    known = Known(plain["known"])
    high = math.inf if known is Known.BOUND and plain["high"] is None else _known(plain["high"])
    return Estimate(
        name=str(plain["name"]),
        unit=str(plain["unit"]),
        value=_known(plain["value"]),
        low=_known(plain["low"]),
        high=high,
        known=known,
        why=str(plain["why"]),
    )


def _law(law: LawNotes | None) -> dict[str, Any] | None:
    if law is None:
        return None
    plain = {one.name: getattr(law, one.name) for one in fields(law)}
    return plain | {
        "gamma": _estimate(law.gamma),
        "r2": _number(law.r2),
        "variation": _number(law.variation),
        "limited": _number(law.limited),
        "batch": list(law.batch),
        "seen": list(law.seen),
    }


def _law_from(plain: Mapping[str, Any]) -> LawNotes:
    return LawNotes(
        by_throughput=bool(plain["by_throughput"]),
        rows=int(plain["rows"]),
        r2=_known(plain["r2"]),
        variation=_known(plain["variation"]),
        limited=_known(plain["limited"]),
        block=int(plain["block"]),
        gamma=_estimate_from(plain["gamma"]),
        batch=tuple(map(float, plain["batch"])),
        seen=tuple(map(float, plain["seen"])),
    )


def _region(region: Region | None) -> dict[str, Any] | None:
    if region is None:
        return None
    return {
        "rho": [_number(v) for v in region.rho],
        "batch": [_number(v) for v in region.batch],
        "replicas": list(region.replicas),
        "layers": {
            str(count): [[_number(x), _number(y)] for x, y in corners]
            for count, corners in region.layers.items()
        },
    }


def _region_from(plain: Mapping[str, Any] | None) -> Region | None:
    if plain is None:
        return None
    rho, batch, replicas = plain["rho"], plain["batch"], plain["replicas"]
    return Region(
        rho=(float(rho[0]), float(rho[1])),
        batch=(float(batch[0]), float(batch[1])),
        replicas=(int(replicas[0]), int(replicas[1])),
        layers={
            int(count): tuple((float(x), float(y)) for x, y in corners)
            for count, corners in plain["layers"].items()
        },
    )


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "demand_rps": _number(plan.demand_rps),
        "p99_s": _number(plan.p99_s),
        "best": None if plan.best is None else _choice(plan.best),
        "choices": [_choice(one) for one in plan.choices],
    }


def _choice(one: Choice) -> dict[str, Any]:
    plain = {each.name: getattr(one, each.name) for each in fields(one)}
    return plain | {"rate": _number(one.rate)}


def _plan_from(plain: Mapping[str, Any]) -> Plan:
    best = plain["best"]
    return Plan(
        demand_rps=float(plain["demand_rps"]),
        p99_s=float(plain["p99_s"]),
        best=None if best is None else Choice(**best),
        choices=tuple(Choice(**one) for one in plain["choices"]),
    )


def _spread(one: Spread) -> dict[str, Any]:
    return {
        "number": one.number,
        "edges": [_number(v) for v in one.edges],
        "log_errors": [list(errors) for errors in one.errors],
    }


def _spread_from(name: str, plain: Mapping[str, Any]) -> Spread:
    return Spread(
        signal=name,
        edges=tuple(map(float, plain["edges"])),
        errors=tuple(tuple(map(float, errors)) for errors in plain["log_errors"]),
        number=int(plain["number"]),
    )
