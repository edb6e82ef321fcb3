"""A scenario back to text: what `scenario_schema.load` reads to the same value.

For scenarios that were composed or drawn up by a program; comments of a file are not kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import yaml

from homeostat.lab.scenario import (
    Basis,
    Choice,
    Fault,
    Load,
    Onset,
    Param,
    Peaks,
    Profile,
    Range,
    Scenario,
    Spec,
)
from homeostat.lab.scenario_fields import log_by_default
from homeostat.twin.shapes import Cure


def dump(scenarios: Iterable[Scenario]) -> str:
    """Return the text of a scenario file."""
    data = {"scenarios": [_scenario(scenario) for scenario in scenarios]}
    text: str = yaml.dump(
        data,
        Dumper=yaml.SafeDumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )
    return text


def _scenario(s: Scenario) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": s.id,
        "name": s.name,
        "family": s.family,
        "summary": s.summary,
        "sources": list(s.sources),
        "grounding": s.grounding,
        "length_s": s.length_s,
        "recoverable": s.recoverable,
        "benign": s.benign,
        "self_heals": s.self_heals,
        "params": {name: _spec(given) for name, given in s.params.items()},
        "deployment": {name: _spec(given) for name, given in s.deployment.items()},
        "load": _load(s.load),
        "onset": _onset(s.onset),
        "faults": [_fault(fault) for fault in s.faults],
        "signals": dict(s.signals),
        "leading_signal": s.leading_signal,
        "best": [{"when": each.when, "do": each.do} for each in s.best],
        "ineffective": list(s.ineffective),
        "unsafe": [
            {"action": each.action, "why": each.why, "codes": list(each.codes)} for each in s.unsafe
        ],
        "live_injection": s.live_injection,
        "note": s.note,
    }
    return _without_nothing(found)


def _without_nothing(found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says no more than its absence: empty, or false by default."""
    return {
        key: value
        for key, value in found.items()
        if key == "recoverable" or value not in ("", [], {}, None, False)
    }


def _load(load: Load) -> dict[str, Any]:
    if load.profile is Profile.FLAT:
        return {}
    return _without_nothing({
        "profile": load.profile.value,
        "peak_ratio": _spec(load.peak_ratio),
        "period_s": _spec(load.period_s),
        "trace": load.trace,
        "compress": _spec(load.compress),
        "peaks": "" if load.peaks is Peaks.FIT else load.peaks.value,
    })


def _fault(fault: Fault) -> dict[str, Any]:
    found = {
        "primitive": fault.primitive,
        "magnitude": _spec(fault.magnitude),
        "target": fault.target.value,
        "of": None if fault.of is Basis.ITSELF else fault.of.value,
        "share": _spec(fault.share),
        "signals": list(fault.signals),
        "spares_b": _spec(fault.spares_b),
        "cure": None if fault.cure is Cure.NONE else fault.cure.name.lower(),
        "ambient": fault.ambient,
        "onset": _onset(fault.onset),
    }
    return {key: value for key, value in found.items() if value not in ([], {}, None, False)} | {
        "magnitude": _spec(fault.magnitude)  # zero is a magnitude, and equals False
    }


def _onset(onset: Onset) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(onset):
        value = getattr(onset, field.name)
        if value is None or field.name == "until_fixed":
            continue
        if field.name == "shape":
            found["shape"] = value.value
        elif field.name == "duration_s" and onset.until_fixed:
            least = value.low if isinstance(value, Range) else 0.0
            found["duration_s"] = [_plain(least), "until_fixed"] if least else "until_fixed"
        else:
            found[field.name] = _spec(value)
    return found


def _spec(given: Spec | None) -> Any:
    match given:
        case None:
            return None
        case Param(name=name):
            return name
        case Choice(options=options):
            return {"choose": [_plain(option) for option in options]}
        case Range():
            return _range(given)


def _range(given: Range) -> Any:
    if given.low == given.high and not given.whole:
        return _plain(given.low)
    if not given.whole and given.log == log_by_default(given.low, given.high):
        return [_plain(given.low), _plain(given.high)]
    found = {"low": _plain(given.low), "high": _plain(given.high)}
    if given.log != log_by_default(given.low, given.high):
        found["scale"] = "log" if given.log else "linear"
    return found | ({"whole": True} if given.whole else {})


def _plain(value: float) -> Any:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value  # noqa: PLR2004  # exact
