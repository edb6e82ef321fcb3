"""Verification: what did an action do, measured against the state before it?

Judges the deployment's objectives at the gateway and whether the suspicion that led to the action
is still there. Says UNKNOWN when the objectives cannot be seen; never infers a good outcome from
silence. (A sequential test over the whole ramp comes with the canary engine.)
"""

from homeostat.base import names
from homeostat.base.decisions import Effect
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.policy import Managed

Measured = tuple[tuple[str, float], ...]

_OBJECTIVE_SIGNALS = (
    (names.GATEWAY, names.ERROR_RATIO),
    (names.GATEWAY, names.LATENCY_P95),
    (names.MODEL, names.ACCURACY),
)
# Harm must be plain before an action is taken back for it. Source: the canary defaults
# (harm.errorRatio 1.2, harm.slowRatio 1.1) widened for a window of a few scrapes without an
# error guarantee: five points of error ratio, half as slow again.
HARM_ERROR_POINTS = 0.05
HARM_SLOW_RATIO = 1.5
HARM_ACCURACY_POINTS = 0.10
# Percentiles over requests of which more failed than this, most of them at once, are not those of
# the service: fewer failures must not read as slower answers.
ERRORS_THAT_HIDE_LATENCY = HARM_ERROR_POINTS
# In an overload latency and errors rise for as long as the queue that stood before the action
# takes to drain; blaming the cure for them would take it away. Not helping still counts as a try,
# and wrong answers have nothing to do with a queue.
_OVERLOADS = frozenset({Family.LOAD, Family.BATCHING})


def measure(evidence: Evidence) -> Measured:
    """Return the objective signals that are known on this tick."""
    known = {(reading.subject, reading.signal): reading.value for reading in evidence.readings}
    pairs = ((signal, known.get((subject, signal))) for subject, signal in _OBJECTIVE_SIGNALS)
    return tuple((signal, value) for signal, value in pairs if value is not None)


def judge(
    incident: Incident | None, before: Measured, evidence: Evidence, managed: Managed
) -> Effect:
    """Return what the action in flight looks like on this tick.

    Args:
        incident: The incident it answers; None for an operator's or a saving action.
        before: The objective signals when it was decided.
        evidence: This tick.
        managed: For the objectives.
    """
    if evidence.slo_met is None:
        return Effect.UNKNOWN
    after = dict(measure(evidence))
    overloaded = incident is not None and incident.family in _OVERLOADS
    if not evidence.slo_met and _harmed(dict(before), after, managed, overloaded=overloaded):
        return Effect.HARMED
    suspected = incident is not None and any(
        suspicion.family is incident.family and suspicion.subject == incident.subject
        for suspicion in evidence.suspicions
    )
    return Effect.HELPED if evidence.slo_met and not suspected else Effect.NO_CHANGE


def _harmed(
    before: dict[str, float], after: dict[str, float], managed: Managed, *, overloaded: bool
) -> bool:
    # A signal that is missing on either side says nothing: absence is never zero.
    both = before.keys() & after.keys()
    if names.ERROR_RATIO in both and not overloaded:
        errors = after[names.ERROR_RATIO] - before[names.ERROR_RATIO]
        if errors > HARM_ERROR_POINTS:
            return True
    # A deployment inside its objective may grow slower without harm; beyond it, slower is harm.
    hidden = before.get(names.ERROR_RATIO, 0.0) > ERRORS_THAT_HIDE_LATENCY
    if names.LATENCY_P95 in both and not hidden and not overloaded:
        slow_base = max(before[names.LATENCY_P95], managed.objective.latency_p95_ms)
        if after[names.LATENCY_P95] > HARM_SLOW_RATIO * slow_base:
            return True
    if names.ACCURACY not in both:
        return False
    return before[names.ACCURACY] - after[names.ACCURACY] > HARM_ACCURACY_POINTS
