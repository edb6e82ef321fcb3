"""What one deployment's guards must know of the others, worked out once per tick."""

from collections.abc import Mapping, Sequence

from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence, Family
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, TimeNs


def views(
    states: Mapping[str, LoopState], evidences: Sequence[Evidence], now: TimeNs
) -> dict[str, FleetView]:
    """Return each deployment's view of the fleet."""
    replicas = {e.deployment: len(e.world.replicas) if e.world else 0 for e in evidences}
    # A question that nobody has answered yet changes nothing, and stops nobody else.
    changing = {
        name: state.record.action.replicas_touched
        for name, state in states.items()
        if state.record is not None and state.record.state is not ActionState.AWAITING_APPROVAL
    }
    anomalous = {name for name, state in states.items() if _went_anomalous(state, now)}
    recent = {
        name: sum(now - action.at <= HOUR for action in state.past)
        for name, state in states.items()
    }
    blind = [e for e in evidences if _blind(e)]
    # One deployment that cannot be seen is its own affair (its guards hold); when the greater
    # part of several is unseen, the sensors are the common cause.
    sensors_ok = len(evidences) < 2 or 2 * len(blind) <= len(evidences)  # noqa: PLR2004 - half
    return {
        name: FleetView(
            targets=len(states),
            targets_changing=sum(other != name for other in changing),
            replicas=sum(replicas.values()),
            replicas_changing=sum(n for other, n in changing.items() if other != name),
            anomalous=len(anomalous),
            actions_last_hour=sum(n for other, n in recent.items() if other != name),
            sensors_ok=sensors_ok,
        )
        for name in states
    }


def _went_anomalous(state: LoopState, now: TimeNs) -> bool:
    if state.incident is None or state.incident.confirmed_at is None:
        return False
    window_ns = round(state.managed.guard.correlated_scrapes * state.managed.scrape_ns)
    return now - state.incident.opened_at <= window_ns


def _blind(evidence: Evidence) -> bool:
    return evidence.world is None or any(
        suspicion.family is Family.SENSOR for suspicion in evidence.suspicions
    )
