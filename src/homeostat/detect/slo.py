"""Are the objectives met on this tick: yes, no, or nobody knows.

One broken promise is enough for no; yes needs every promise seen. The accuracy promise counts only
where there is one, and without labels it is unknown, never met.
"""

from collections.abc import Mapping

from homeostat.base import names
from homeostat.base.evidence import Quality, Reading
from homeostat.base.policy import Objective


def slo_met(readings: Mapping[tuple[str, str], Reading], objective: Objective) -> bool | None:
    """Return whether all objectives are met, None for unknown.

    Args:
        readings: By (subject, signal).
        objective: What was promised; latency and errors at the gateway, accuracy of the model.
    """
    answers = [
        _at_most(readings.get((names.GATEWAY, names.LATENCY_P95)), objective.latency_p95_ms),
        _at_most(readings.get((names.GATEWAY, names.ERROR_RATIO)), objective.error_ratio),
    ]
    if objective.accuracy is not None:
        accuracy = _value(readings.get((names.MODEL, names.ACCURACY)))
        answers.append(None if accuracy is None else accuracy >= objective.accuracy)
    if False in answers:
        return False
    return None if None in answers else True


def broken(readings: Mapping[tuple[str, str], Reading], objective: Objective) -> tuple[str, ...]:
    """Return one sentence for each objective that is seen to be missed."""
    out = []
    latency = _value(readings.get((names.GATEWAY, names.LATENCY_P95)))
    if latency is not None and latency > objective.latency_p95_ms:
        out.append(f"p95 {latency:.0f} ms, promised {objective.latency_p95_ms:.0f} ms")
    errors = _value(readings.get((names.GATEWAY, names.ERROR_RATIO)))
    if errors is not None and errors > objective.error_ratio:
        out.append(f"errors {errors:.1%}, promised {objective.error_ratio:.1%}")
    accuracy = _value(readings.get((names.MODEL, names.ACCURACY)))
    promised = objective.accuracy
    if accuracy is not None and promised is not None and accuracy < promised:
        out.append(f"accuracy {accuracy:.1%}, promised {promised:.1%}")
    return tuple(out)


def _value(reading: Reading | None) -> float | None:
    if reading is None or reading.quality is not Quality.GOOD:
        return None
    return reading.value


def _at_most(reading: Reading | None, limit: float) -> bool | None:
    value = _value(reading)
    return None if value is None else value <= limit
