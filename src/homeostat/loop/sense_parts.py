"""The stages that `sense.step` calls, as it sees them: one protocol each.

Written here and not where they are implemented, because the loop knows no detector.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from homeostat.base.columns import Columns
from homeostat.base.drift import DriftTest
from homeostat.base.evidence import (
    Anomaly,
    Evidence,
    Forecast,
    Health,
    Increments,
    Quality,
    Reading,
    SeriesKey,
    Signals,
    SourceReport,
    Suspicion,
)
from homeostat.base.policy import Managed, Objective
from homeostat.base.promise import PromiseTest
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot

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
    @property
    def increments(self) -> Mapping[str, tuple[Increments, ...]]: ...  # noqa: D102 - see the class
    @property
    def fresh(self) -> Sequence[Any]: ...  # noqa: D102 - see the class


class Judged(Protocol):
    """What one deployment's series look like; see `detect.verdicts.Judged`."""

    @property
    def readings(self) -> tuple[Reading, ...]: ...  # noqa: D102 - see the class
    @property
    def names(self) -> Collection[tuple[str, str]]: ...  # noqa: D102 - see the class
    @property
    def subjects(self) -> Collection[str]: ...  # noqa: D102 - see the class
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


class Drifted(Shifted, Protocol):
    """What one deployment's tests of histograms say; see `detect.drifting.Drifted`."""

    @property
    def tests(self) -> tuple[DriftTest, ...]: ...  # noqa: D102 - see the class


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

    def settled(
        self,
        state: Any,
        keys: Sequence[SeriesKey],
        unsure: frozenset[str],
        told: frozenset[str],
    ) -> tuple[Any, tuple[SeriesKey, ...]]:
        """Return the next state, and whose new level is usual from now on."""
        ...

    def renewed(self, state: Any, deployments: frozenset[str]) -> tuple[Any, tuple[SeriesKey, ...]]:
        """Return the state in which what these do now is usual, and whose level that is."""
        ...


class ShiftPart(Protocol):
    """`detect.shift.Shift`."""

    def init(self) -> Any:
        """Return the state before any reference."""
        ...

    def opened(self, state: Any) -> Any:
        """Return the state that one tick's steps may write."""
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
        self, judged: Mapping[str, Any], managed: Sequence[Managed]
    ) -> Mapping[str, tuple[Forecast, ...]]:
        """Return what the memory of each deployment's replicas is about to do."""
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

    def __call__(  # noqa: PLR0913 - as in `detect.diagnose`
        self,
        *,
        readings: Readings,
        usual: Mapping[tuple[str, str], float],
        learnt: Mapping[tuple[str, str], float],
        device: Any,
        pages: Sequence[tuple[str, Quality]],
        forecasts: Sequence[Forecast],
        slo_met: bool | None,
        world: Snapshot | None,
        managed: Managed,
    ) -> tuple[Suspicion, ...]:
        """Return what is suspected, most confident first."""
        ...


class AheadPart(Protocol):
    """`detect.forecast_fleet.Foresight`."""

    def init(self) -> Any:
        """Return the state before any series."""
        ...

    def step(
        self,
        state: Any,
        managed: Sequence[Managed],
        readings: Mapping[str, Readings],
        world: Mapping[str, Snapshot],
        devices: Mapping[str, Any],
        held: frozenset[str],
        tick: int,
    ) -> tuple[Any, Mapping[str, tuple[Forecast, ...]]]:
        """Return the next state and what the series of each deployment are about to do."""
        ...


class HealthOf(Protocol):
    """`detect.health_of.health_of`."""

    def __call__(
        self,
        *,
        readings: Readings,
        forecasts: Sequence[Forecast],
        anomalies: Sequence[Anomaly],
        suspicions: Sequence[Suspicion],
        objective: Objective,
    ) -> Health:
        """Return one number for how a deployment is, with its parts."""
        ...


class FusedPart(Protocol):
    """`detect.fused.Fused`."""

    def init(self) -> Any:
        """Return the state before any deployment."""
        ...

    def step(
        self,
        state: Any,
        signals: Signals[Any],
        layout: Any,
        evidence: Sequence[Evidence],
        learn: frozenset[str],
        busy: frozenset[str],
    ) -> tuple[Any, tuple[Evidence, ...]]:
        """Return the next state and the evidence with each deployment's score."""
        ...

    def settled(self, state: Any) -> tuple[tuple[SeriesKey, ...], frozenset[str], frozenset[str]]:
        """Return whose level has changed for good, who was not surely well, whose onset lasts."""
        ...

    def renewed(self, state: Any, deployments: frozenset[str]) -> Any:
        """Return a state in which levels of these begin anew on the next tick."""
        ...


class PromisesPart(Protocol):
    """`detect.slo_evidence.Promises`."""

    def init(self) -> Any:
        """Return the state before any promise."""
        ...

    def step(
        self,
        state: Any,
        managed: Sequence[Managed],
        increments: Mapping[str, Sequence[Increments]],
        now: TimeNs,
    ) -> tuple[Any, Mapping[str, tuple[PromiseTest, ...]]]:
        """Return the next state and the tests of each deployment's objectives."""
        ...


class EncodedPart(Protocol):
    """`detect.encoded.Encoded`."""

    def init(self) -> Any:
        """Return the state before the first tick."""
        ...

    def step(
        self,
        state: Any,
        evidence: Sequence[Evidence],
        learn: frozenset[str],
        busy: frozenset[str],
    ) -> tuple[Any, tuple[Evidence, ...]]:
        """Return the next state and the evidence with the autoencoders' scores."""
        ...


class DriftPart(Protocol):
    """`detect.drifting.Drifting`."""

    def init(self) -> Any:
        """Return the state before any reference."""
        ...

    def step(
        self,
        state: Any,
        fresh: Sequence[Any],
        world: Mapping[str, Snapshot],
        learn: frozenset[str],
    ) -> tuple[Any, Mapping[str, Drifted]]:
        """Return the next state, and what is said of deployments that show histograms."""
        ...


class FleetwidePart(Protocol):
    """`detect.fleetwide.FleetTests`."""

    def init(self) -> Any:
        """Return the state before any series."""
        ...

    def step(
        self, state: Any, signals: Signals[Any], layout: Any, busy: frozenset[str]
    ) -> tuple[Any, Mapping[str, Any]]:
        """Return the next state, and what the fleet's tests say of each deployment."""
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
    ahead: AheadPart | None = None
    health: HealthOf | None = None
    fused: FusedPart | None = None
    promises: PromisesPart | None = None
    encoded: EncodedPart | None = None
    drift: DriftPart | None = None
    fleetwide: FleetwidePart | None = None
