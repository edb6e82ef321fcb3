"""`sense.step`: one tick of the fleet from reports to evidence, batched, pure and in a fixed order.

The stages arrive as parts: signals (what is believed), the panel of detectors, verdicts, shift,
forecasts, objectives, diagnosis. This file only says who is asked when, and who may learn: nothing
is learnt from a deployment in which something is suspected or an action of ours is in flight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from homeostat.base import names
from homeostat.base.columns import Columns
from homeostat.base.evidence import (
    Anomaly,
    Evidence,
    Forecast,
    Quality,
    Reading,
    Signals,
    SourceReport,
    Suspicion,
)
from homeostat.base.policy import Managed, Objective
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot

# A baseline of this many ticks is enough to tell the usual from the unusual.
READY_TICKS = 8
Readings = Mapping[tuple[str, str], Reading]


class PageState(Protocol):
    """How one metrics page fares; see `signals.frame.PageState`."""

    @property
    def deployment(self) -> str: ...  # noqa: D102 - see the class
    @property
    def subject(self) -> str: ...  # noqa: D102 - see the class
    @property
    def quality(self) -> Quality: ...  # noqa: D102 - see the class


class Frame(Protocol):
    """One tick of the fleet; see `signals.frame.Frame`."""

    @property
    def signals(self) -> Signals[Any]: ...  # noqa: D102 - see the class
    @property
    def histograms(self) -> Sequence[Any]: ...  # noqa: D102 - see the class
    @property
    def invalid(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102 - see the class
    @property
    def pages(self) -> Sequence[PageState]: ...  # noqa: D102 - see the class


class Judged(Protocol):
    """What one deployment's series look like; see `detect.verdicts.Judged`."""

    @property
    def readings(self) -> tuple[Reading, ...]: ...  # noqa: D102 - see the class
    @property
    def anomalies(self) -> tuple[Anomaly, ...]: ...  # noqa: D102 - see the class
    @property
    def usual(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102 - see the class
    @property
    def history(self) -> Mapping[tuple[str, str], Any]: ...  # noqa: D102 - see the class
    @property
    def fallen(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102 - see the class
    @property
    def learnt(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102 - see the class


class Shifted(Protocol):
    """What one deployment's histograms say; see `detect.shift.Shifted`."""

    @property
    def readings(self) -> tuple[Reading, ...]: ...  # noqa: D102 - see the class
    @property
    def anomalies(self) -> tuple[Anomaly, ...]: ...  # noqa: D102 - see the class


class SignalsPart(Protocol):
    """`signals.fleet.Fleet`."""

    def init(self) -> Any:
        """Return the state of a fleet that nothing was heard of."""
        ...

    def step(
        self,
        state: Any,
        reports: Sequence[SourceReport | Columns[Any]],
        world: Sequence[Snapshot],
        managed: Sequence[Managed],
        now: TimeNs,
        tick: int,
    ) -> tuple[Any, Any]:
        """Return the next state and this tick's `Frame`."""
        ...


class PanelPart(Protocol):
    """`detect.panel.Panel`."""

    def init(self) -> Any:
        """Return the state before any series."""
        ...

    def step(self, state: Any, signals: Signals[Any], learn: frozenset[str]) -> tuple[Any, Any]:
        """Return the next state and the claims; `devices` of the claims is by deployment."""
        ...


class ShiftPart(Protocol):
    """`detect.shift.Shift`."""

    def init(self) -> Any:
        """Return the state before any reference."""
        ...

    def step(
        self,
        state: Any,
        histograms: Sequence[Any],
        invalid: Mapping[tuple[str, str], float],
        managed: Managed,
        world: Snapshot | None,
        learn: bool,  # noqa: FBT001 - same position as in every detector's step
    ) -> tuple[Any, Any]:
        """Return the next state and one deployment's `Shifted`."""
        ...


class Judge(Protocol):
    """`detect.verdicts.judge`."""

    def __call__(
        self, signals: Signals[Any], claims: Any, managed: Sequence[Managed]
    ) -> Mapping[str, Any]:
        """Return each deployment's `Judged`."""
        ...


class Forecaster(Protocol):
    """`detect.forecast.forecasts`."""

    def __call__(
        self,
        history: Mapping[tuple[str, str], Any],
        fallen: Mapping[tuple[str, str], float],
        scrape_ns: int,
    ) -> tuple[Forecast, ...]:
        """Return what one deployment's series are about to do."""
        ...


class Utilisation(Protocol):
    """`detect.utilisation.utilisation`."""

    def __call__(
        self, readings: Readings, world: Snapshot | None, device: Any
    ) -> tuple[Reading, ...]:
        """Return one reading per pool."""
        ...


class SloMet(Protocol):
    """`detect.slo.slo_met`."""

    def __call__(self, readings: Readings, objective: Objective) -> bool | None:
        """Return whether the objectives are met, None for unknown."""
        ...


class Diagnose(Protocol):
    """`detect.diagnose.diagnose`."""

    def __call__(
        self,
        *,
        readings: Readings,
        usual: Mapping[tuple[str, str], float],
        device: Any,
        pages: Sequence[tuple[str, Quality]],
        forecasts: Sequence[Forecast],
        slo_met: bool | None,
        world: Snapshot | None,
        managed: Managed,
    ) -> tuple[Suspicion, ...]:
        """Return what is suspected, most confident first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SenseParts:
    """What `sense.step` calls, in the order in which it calls it."""

    signals: SignalsPart
    panel: PanelPart
    judge: Judge
    shift: ShiftPart
    forecasts: Forecaster
    utilisation: Utilisation
    slo_met: SloMet
    diagnose: Diagnose


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SenseState:
    """What is remembered between two ticks.

    Attributes:
        signals: The signals part's state.
        panel: The panel's state.
        shift: The shift part's state.
        disputed: Deployments in which something was suspected on the last tick.
    """

    signals: Any
    panel: Any
    shift: Any
    disputed: frozenset[str] = frozenset()


def init(parts: SenseParts) -> SenseState:
    """Return the state before the first tick."""
    return SenseState(
        signals=parts.signals.init(), panel=parts.panel.init(), shift=parts.shift.init()
    )


def step(
    parts: SenseParts,
    state: SenseState,
    reports: Sequence[SourceReport | Columns[Any]],
    world: Sequence[Snapshot],
    managed: Sequence[Managed],
    busy: frozenset[str],
    now: TimeNs,
    tick: int,
) -> tuple[SenseState, Signals[Any], tuple[Evidence, ...]]:
    """Return the next state, the aligned signals, and evidence per managed deployment.

    Args:
        parts: The stages.
        state: From `init` or the last step; it is consumed.
        reports: This tick's rounds, at most one per source, in any order; those of many sources
            may come as columns.
        world: The deployments as last read back; those that could not be read are not in it.
        managed: The deployments, in the order in which evidence is wanted.
        busy: Deployments with an action of ours in flight; nothing is learnt from them.
        now: The tick's time.
        tick: The tick's number, higher than at the last step.
    """
    signals_state, frame = parts.signals.step(state.signals, reports, world, managed, now, tick)
    learn = frozenset(entry.name for entry in managed) - busy - state.disputed
    panel_state, claims = parts.panel.step(state.panel, frame.signals, learn)
    judged = parts.judge(frame.signals, claims, managed)
    shift_state, read = state.shift, {snapshot.deployment: snapshot for snapshot in world}
    histograms, pages = _by_deployment(frame.histograms), _by_deployment(frame.pages)
    evidence = []
    for entry in managed:
        shift_state, shifted = parts.shift.step(
            shift_state,
            histograms.get(entry.name, ()),
            frame.invalid,
            entry,
            read.get(entry.name),
            entry.name in learn,
        )
        evidence.append(
            _evidence(
                parts,
                entry,
                frame.signals,
                pages.get(entry.name, ()),
                judged[entry.name],
                shifted,
                claims.devices.get(entry.name),
                read.get(entry.name),
            )
        )
    disputed = frozenset(
        one.deployment for one in evidence if one.suspicions or one.slo_met is False
    )
    state = SenseState(
        signals=signals_state, panel=panel_state, shift=shift_state, disputed=disputed
    )
    return state, frame.signals, tuple(evidence)


def _by_deployment(every: Sequence[Any]) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for one in every:
        out.setdefault(one.deployment, []).append(one)
    return out


def _evidence(
    parts: SenseParts,
    managed: Managed,
    signals: Signals[Any],
    pages: Sequence[PageState],
    judged: Judged,
    shifted: Shifted,
    device: Any,
    world: Snapshot | None,
) -> Evidence:
    gone = _no_longer_there(judged.readings, world)
    readings = {
        (reading.subject, reading.signal): reading
        for reading in (*judged.readings, *shifted.readings)
        if reading.subject not in gone
    }
    for reading in parts.utilisation(readings, world, device):
        readings[reading.subject, reading.signal] = reading
    forecasts = parts.forecasts(judged.history, judged.fallen, managed.scrape_ns)
    slo_met = parts.slo_met(readings, managed.objective)
    suspicions = parts.diagnose(
        readings=readings,
        usual=judged.usual,
        device=device,
        pages=[(page.subject, page.quality) for page in pages],
        forecasts=forecasts,
        slo_met=slo_met,
        world=world,
        managed=managed,
    )
    learnt = judged.learnt.get((names.GATEWAY, names.ARRIVAL_RATE), 0.0)
    return Evidence(
        deployment=managed.name,
        at=signals.at,
        tick=signals.tick,
        readings=tuple(readings[key] for key in sorted(readings)),
        anomalies=tuple(
            claim for claim in (*judged.anomalies, *shifted.anomalies) if claim.subject not in gone
        ),
        forecasts=tuple(one for one in forecasts if one.subject not in gone),
        suspicions=suspicions,
        slo_met=slo_met,
        ready=learnt >= READY_TICKS,
        world=world,
    )


def _no_longer_there(readings: Sequence[Reading], world: Snapshot | None) -> frozenset[str]:
    """Return replicas that sources still speak of although the slot is no more."""
    if world is None:
        return frozenset()
    slots = {names.replica(replica.name) for replica in world.replicas}
    heard = {reading.subject for reading in readings}
    return frozenset(one for one in heard - slots if one.startswith("replica:"))


STATE_CLASSES = (SenseState,)
"""What `stats.arrays.from_bytes` must know to read the state, besides its parts' classes."""
