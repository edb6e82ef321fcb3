"""Readings of a deployment as if some of its series stood where they usually do.

A rule that no longer suspects anything then has spoken because of these series and nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from homeostat.base.evidence import Quality, Reading, Verdict

Name = tuple[str, str]


def as_usual(
    readings: Mapping[Name, Reading], usual: Mapping[Name, float], series: Iterable[Name]
) -> dict[Name, Reading]:
    """Return the readings with these series healthy at their usual values.

    Args:
        readings: By (subject, signal).
        usual: Guarded means likewise, known ones only.
        series: Which ones; what is not believed, or whose usual value is not known, stays.
    """
    out = dict(readings)
    for name in series:
        reading, level = readings.get(name), usual.get(name)
        if reading is not None and level is not None and reading.quality is Quality.GOOD:
            out[name] = replace(reading, value=level, verdict=Verdict.HEALTHY)
    return out
