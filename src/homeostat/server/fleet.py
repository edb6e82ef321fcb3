"""What one deployment's guards must know of the others, kept true while a tick goes on.

Deployments are stepped one after the other: what the first of them begins is news to the second,
and what all are about to suspect together is known before the first may act on it.
"""

from collections.abc import Iterable, Mapping, Sequence

from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, TimeNs
from homeostat.loop import ebbing, incidents

# A compared ramp is live and writes nothing until its next rung.
_COMPARING = frozenset({ActionState.SETTLING, ActionState.VERIFYING})


class Fleet:
    """The counts of one moment; `stepped` brings them up to date after each deployment's step.

    Args:
        states: Every deployment's state.
        evidences: What each is about to be stepped with; none between two ticks.
        now: The time.
    """

    def __init__(
        self, states: Mapping[str, LoopState], evidences: Sequence[Evidence], now: TimeNs
    ) -> None:
        self._now = now
        self._targets = len(states)
        coming = {evidence.deployment: evidence for evidence in evidences}
        latest = [
            evidence
            for name, state in states.items()
            if (evidence := coming.get(name, state.evidence)) is not None
        ]
        self._replicas = sum(len(e.world.replicas) for e in latest if e.world is not None)
        self._sensors_ok = _sensors_ok(latest)
        self._anomalous = sum(
            _anomalous(state, coming.get(name), now) for name, state in states.items()
        )
        self._shares = {name: frozenset(state.managed.shares) for name, state in states.items()}
        self._touched: dict[str, int] = {}
        self._recent: dict[str, int] = {}
        self._trying: set[str] = set()
        for name, state in states.items():
            self.stepped(name, state)

    def stepped(self, name: str, state: LoopState) -> None:
        """Take note of what a deployment has just begun or ended."""
        self._recent[name] = sum(self._now - action.at <= HOUR for action in state.past)
        self._touched.pop(name, None)
        self._trying.discard(name)
        record = state.record
        if record is not None and record.action.beside and record.state in _COMPARING:
            # For hours, maybe: nobody else's healing waits for it.
            self._trying.add(name)
            return
        # A question that nobody has answered yet changes nothing, and stops nobody else.
        if record is not None and record.state is not ActionState.AWAITING_APPROVAL:
            self._touched[name] = record.action.replicas_touched

    def view(self, name: str) -> FleetView:
        """Return one deployment's view of the fleet."""
        return FleetView(
            targets=self._targets,
            targets_changing=len(self._touched) - (name in self._touched),
            replicas=self._replicas,
            replicas_changing=sum(self._touched.values()) - self._touched.get(name, 0),
            anomalous=self._anomalous,
            actions_last_hour=sum(self._recent.values()) - self._recent.get(name, 0),
            sensors_ok=self._sensors_ok,
            sharing_changing=self._sharing(name, self._touched),
            trying=len(self._trying - {name}),
            sharing_trying=self._sharing(name, self._trying),
        )

    def _sharing(self, name: str, others: Iterable[str]) -> int:
        """Return how many others share something with a deployment."""
        mine = self._shares.get(name, frozenset())
        return sum(
            other != name and bool(mine & self._shares.get(other, frozenset())) for other in others
        )


def _anomalous(state: LoopState, coming: Evidence | None, now: TimeNs) -> bool:
    """Return whether a deployment has gone anomalous, or does so at the step that is coming.

    A fault that all have in common is confirmed everywhere at one tick: counted only afterwards,
    it would have been acted on everywhere.
    """
    incident: Incident | None = state.incident
    if coming is not None:
        _, incident, _, _ = incidents.follow(state, coming, now)
    if incident is None or (incident.confirmed_at is None and not ebbing.is_held(state)):
        return False
    window_ns = round(state.managed.guard.correlated_scrapes * state.managed.scrape_ns)
    return now - incident.opened_at <= window_ns


def _sensors_ok(latest: Iterable[Evidence]) -> bool:
    """Return whether the sensors seem well.

    One deployment that cannot be seen is its own affair (its guards hold); when the greater part of
    several is unseen, the sensors are the common cause.
    """
    blind = [_blind(evidence) for evidence in latest]
    return len(blind) < 2 or 2 * sum(blind) <= len(blind)  # noqa: PLR2004 - half


def _blind(evidence: Evidence) -> bool:
    return evidence.world is None or any(
        suspicion.family is Family.SENSOR for suspicion in evidence.suspicions
    )
