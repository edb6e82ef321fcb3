"""What of a series counts: departures that matter, and the fixed rules that some series have."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import SeriesKey

# A process this close to its limit is in danger whatever the trend (kernel reclaim starts earlier).
MEMORY_HIGH: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """When a departure from the usual matters.

    Attributes:
        up: A rise matters.
        down: A fall matters.
        least: Smallest departure that matters, in the signal's unit.
        share: Smallest departure that matters, as a share of the usual value.
    """

    up: bool = True
    down: bool = False
    least: float = 0.0
    share: float = 0.0


# Small against what an objective can feel, large against a window's noise.
MATTERS: Final = {
    names.ARRIVAL_RATE: Matter(down=True, least=5.0, share=0.3),
    names.ERROR_RATIO: Matter(least=0.01),
    names.REFUSED_RATIO: Matter(least=0.01),
    names.LATENCY_P50: Matter(least=10.0, share=0.3),
    names.LATENCY_P95: Matter(least=20.0, share=0.3),
    names.PROBE_LATENCY: Matter(least=50.0, share=1.0),
    names.CPU_SHARE: Matter(least=0.2, share=0.5),
    names.DEVICE_SHARE: Matter(least=0.2, share=0.5),
    names.DEVICE_TIME: Matter(least=5.0, share=0.3),
    names.BATCH_SIZE: Matter(down=True, least=0.5, share=0.3),
    names.BATCH_FULL_SHARE: Matter(least=0.3),
    names.QUEUE_LENGTH: Matter(least=3.0, share=1.0),
    names.ACCURACY: Matter(up=False, down=True, least=0.03),
}


class Rule(IntEnum):
    """A fixed rule that a series is judged by, whatever is usual."""

    NONE = 0
    UP = 1  # below one is down
    PROBES = 2  # at most so many failures in a row
    MEMORY = 3  # at most so much of the limit
    ACCURACY = 4  # at least what was promised
    LATENCY = 5  # above the promise is broken; below it, the chart decides
    ERRORS = 6  # the same


_BY_SIGNAL: Final = {
    names.PROCESS_UP: Rule.UP,
    names.PROBE_HEALTH: Rule.UP,
    names.PROBE_INFERENCE: Rule.UP,
    names.PROBE_FAILURES: Rule.PROBES,
    names.MEMORY_SHARE: Rule.MEMORY,
    names.ACCURACY: Rule.ACCURACY,
}
_AT_GATEWAY: Final = {names.LATENCY_P95: Rule.LATENCY, names.ERROR_RATIO: Rule.ERRORS}


def rule_of(key: SeriesKey) -> Rule:
    """Return the rule that a series is judged by."""
    if key.subject == names.GATEWAY and key.signal in _AT_GATEWAY:
        return _AT_GATEWAY[key.signal]
    return _BY_SIGNAL.get(key.signal, Rule.NONE)


def matter_of(signal: str) -> Matter:
    """Return when a departure of a signal matters; any rise where nothing is said."""
    return MATTERS.get(signal, _ANY_RISE)


_ANY_RISE: Final = Matter()
