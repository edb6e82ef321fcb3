"""When a fault comes and goes: what an onset may say, and what would never be seen.

A shape without the times that it is made of, a fault that begins after the episode's end, pulses
that run together: each would be another scenario than the one that is written.
"""

from collections.abc import Mapping
from typing import Final

from homeostat.lab.scenario import Fault, Onset, OnsetShape, Range, Scenario, Spec
from homeostat.lab.scenario_errors import ScenarioError
from homeostat.lab.scenario_fields import Fields, bounds, check, number
from homeostat.lab.scenario_text import Node

_SHAPES_NEED: Final[Mapping[OnsetShape, tuple[str, ...]]] = {
    OnsetShape.RAMP: ("ramp_s",),
    OnsetShape.STEP_OR_RAMP: ("ramp_s",),
    OnsetShape.ROLLOUT: ("ramp_s",),
    OnsetShape.EXP_RISE_DECAY: ("ramp_s", "duration_s"),
    OnsetShape.PERIODIC: ("period_s",),
    OnsetShape.PULSE: ("period_s", "width_s"),
    OnsetShape.STEP_OR_PULSE: ("period_s", "width_s"),
    OnsetShape.QUIET_THEN_PEAK: ("duration_s", "ramp_s"),
}
_ENDING: Final = (OnsetShape.EXP_RISE_DECAY, OnsetShape.QUIET_THEN_PEAK)
_PULSED: Final = (OnsetShape.PULSE, OnsetShape.STEP_OR_PULSE)
_WEEK_S: Final = 604800.0
_PAIR: Final = 2
_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "start_s": (0.0, _WEEK_S),
    "delay_s": (0.0, _WEEK_S),
    "ramp_s": (0.0, _WEEK_S),
    "duration_s": (1.0, _WEEK_S),
    "period_s": (1.0, _WEEK_S),
    "width_s": (1.0, _WEEK_S),
    "pulses": (1.0, 1000.0),
}


def onset(fields: Fields, params: Mapping[str, Spec], *, of_scenario: bool) -> Onset:
    """Return when and how.

    Args:
        fields: The mapping.
        params: The scenario's parameters.
        of_scenario: Whether it is the scenario's own, which must be complete.

    Raises:
        ScenarioError: It says what it may not, or too little.
    """
    times = tuple(key for key in _LIMITS if key != "delay_s" or not of_scenario)
    fields.only(("shape", *times))
    shape = fields.enum("shape", OnsetShape) if "shape" in fields else None
    duration, until_fixed = _duration(fields)
    found = Onset(
        shape=shape,
        start_s=fields.spec("start_s"),
        delay_s=fields.spec("delay_s"),
        ramp_s=fields.spec("ramp_s"),
        duration_s=duration,
        until_fixed=until_fixed,
        period_s=fields.spec("period_s"),
        width_s=fields.spec("width_s"),
        pulses=fields.spec("pulses"),
    )
    for key, limits in _LIMITS.items():
        given = getattr(found, key)
        if given is not None and not (key == "duration_s" and until_fixed):
            check(given, limits, params, fields, key)
    if of_scenario and shape is not None:
        need(found, shape, fields)
    return found


def need(found: Onset, shape: OnsetShape, fields: Fields) -> None:
    """Refuse a shape without the times that it is made of.

    Raises:
        ScenarioError: One is missing.
    """
    for key in _SHAPES_NEED.get(shape, ()):
        if getattr(found, key) is None:
            raise fields.error(
                fields.line("shape"), f"{fields.what}: shape {shape.value} needs {key!r}; add it"
            )
    if shape in _ENDING and found.until_fixed:
        raise fields.error(
            fields.line("duration_s"),
            f"{fields.what}: shape {shape.value} needs a duration in seconds, not until_fixed",
        )


def _duration(fields: Fields) -> tuple[Spec | None, bool | None]:
    """Return `duration_s`: a specification, or a least one and `until_fixed`."""
    if "duration_s" not in fields:
        return None, None
    node = fields.get("duration_s")
    if node.value == "until_fixed":
        return Range(low=0.0, high=0.0), True
    if isinstance(node.value, tuple) and any(one.value == "until_fixed" for one in node.value):
        return _at_least(node.value, fields), True
    return fields.spec("duration_s"), False


def _at_least(given: tuple[Node, ...], fields: Fields) -> Range:
    """Return the LEAST of `[LEAST, until_fixed]`."""
    if len(given) != _PAIR or given[0].value == "until_fixed":
        raise fields.error(
            fields.line("duration_s"),
            f"{fields.what}: duration_s: until_fixed stands alone or as the second of two, for "
            "example [600, until_fixed]",
        )
    least = number(given[0], fields.file, f"{fields.what}: duration_s")
    if not 0.0 <= least <= _WEEK_S:
        raise fields.error(
            fields.line("duration_s"),
            f"{fields.what}: duration_s: {least:g} leaves 0 to {_WEEK_S:g}; change it",
        )
    return Range(low=least, high=least)


def check_when(scenario: Scenario, each: Fault, what: str, file: str, line: int) -> None:
    """Refuse a fault whose own onset and its scenario's do not make one together.

    Args:
        scenario: Whose onset fills in what the fault's does not say.
        each: The fault.
        what: It is called in messages.
        file: For messages.
        line: Of the fault.

    Raises:
        ScenarioError: A shape lacks its times, pulses run together, or it begins after the end.
    """
    own, whole, params = each.onset, scenario.onset, dict(scenario.params)
    for key in _SHAPES_NEED.get(own.shape, ()) if own.shape is not None else ():
        if getattr(own, key) is None and getattr(whole, key) is None:
            raise ScenarioError(
                file, line, f"{what}: shape {own.shape} needs {key!r}; add it to onset"
            )

    def most(key: str) -> float:
        given = getattr(own, key) or getattr(whole, key)
        return 0.0 if given is None else bounds(given, params)[1]

    shape, period = own.shape or whole.shape, own.period_s or whole.period_s
    if shape in _PULSED and period is not None and most("width_s") > bounds(period, params)[0]:
        raise ScenarioError(
            file,
            line,
            f"{what}: pulses of up to {most('width_s'):g} s every {bounds(period, params)[0]:g} s "
            "run together; lower width_s or raise period_s",
        )
    quiet_s = most("duration_s") if shape is OnsetShape.QUIET_THEN_PEAK else 0.0
    latest_s = most("start_s") + most("delay_s") + quiet_s
    if latest_s >= scenario.length_s and not each.ambient:
        raise ScenarioError(
            file,
            line,
            f"{what}: begins as late as {latest_s:g} s in an episode of {scenario.length_s} s; "
            "begin it earlier or raise length_s",
        )
