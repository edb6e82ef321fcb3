"""What a plug-in returned, checked before it meets the fleet.

Arrays and the journal take no odd types, and all deployments are sensed in one batch: a single text
where a number belongs would cost every one of them its tick. Whether a value makes sense is for
`loop.sense` and the guards; here it only has to be one.
"""

from array import array

from homeostat.base.errors import ActuatorError, SourceError
from homeostat.base.evidence import SourceReport
from homeostat.base.world import Snapshot

_LEVER = frozenset({int, float, str})


def whole_report(report: object) -> SourceReport:
    """Return a report whose every number is one.

    Raises:
        SourceError: It is none, or holds a value of a wrong type.
    """
    if not isinstance(report, SourceReport):
        raise SourceError(f"a source returned {type(report).__name__}, no SourceReport")
    seen = report.observations
    try:
        array("d", (one.value for one in seen))
        array("q", (one.observed_at for one in seen))
        array("d", (one.le for one in seen if one.le is not None))
        array("d", (one.epoch for one in seen if one.epoch is not None))
    except (TypeError, OverflowError) as error:
        raise SourceError(f"{report.source} said what is no number: {error}") from error
    names = {type(part) for one in seen for part in (one.key.subject, one.key.signal)}
    if names - {str}:
        raise SourceError(f"{report.source} named a series by {sorted(map(str, names))}, not text")
    return report


def whole_world(world: object) -> Snapshot:
    """Return a snapshot whose every lever has a value that can be recorded.

    Raises:
        ActuatorError: It is none, or a lever's value is neither a number nor text.
    """
    if not isinstance(world, Snapshot):
        raise ActuatorError(f"an actuator returned {type(world).__name__}, no Snapshot")
    for name, value in world.levers:
        if type(value) not in _LEVER:
            raise ActuatorError(f"lever {name} is a {type(value).__name__}: {value!r:.80}")
    return world
