"""`sense.step`: one tick of the fleet from reports to evidence, batched, pure and in a fixed order.

The stages arrive as parts: signals (what is believed), the panel of detectors, verdicts, shift,
forecasts, objectives, diagnosis. This file only says who is asked when, and who may learn: nothing
is learnt from a deployment in which something is suspected or an action of ours is in flight.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from homeostat.base import names
from homeostat.base.columns import Columns
from homeostat.base.drift import DriftTest
from homeostat.base.evidence import (
    Anomaly,
    Evidence,
    Forecast,
    Increments,
    Reading,
    SeriesKey,
    Signals,
    SourceReport,
)
from homeostat.base.policy import Managed
from homeostat.base.promise import PromiseTest
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop.as_usual import as_usual
from homeostat.loop.sense_parts import Drifted, Judged, PageState, SenseParts, Shifted

__all__ = ["READY_TICKS", "STATE_CLASSES", "SenseParts", "SenseState", "init", "step"]

# A baseline of this many ticks is enough to tell the usual from the unusual.
READY_TICKS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SenseState:
    """What is remembered between two ticks.

    Attributes:
        signals: The signals part's state.
        panel: The panel's state.
        shift: The shift part's state.
        disputed: Deployments in which something was suspected on the last tick.
        ahead: The forecasters' state.
        fused: The fused score's state.
        promises: The state of the tests of objectives.
        encoded: The autoencoders' state.
        drift: The state of the tests of histograms.
        fleetwide: The state of the fleet's tests.
        anew: Deployments whose present levels a person has called normal since the last tick.
    """

    signals: Any
    panel: Any
    shift: Any
    disputed: frozenset[str] = frozenset()
    ahead: Any = None
    fused: Any = None
    promises: Any = None
    encoded: Any = None
    drift: Any = None
    fleetwide: Any = None
    anew: frozenset[str] = frozenset()


def begun_anew(state: SenseState, deployments: frozenset[str]) -> SenseState:
    """Return a state in which levels of some deployments are usual from the next tick on.

    Args:
        state: From `init` or the last step.
        deployments: Whose: a person has said that what they do now is normal.
    """
    return replace(state, anew=state.anew | deployments)


def init(parts: SenseParts) -> SenseState:
    """Return the state before the first tick."""
    return SenseState(
        signals=parts.signals.init(),
        panel=parts.panel.init(),
        shift=parts.shift.init(),
        ahead=None if parts.ahead is None else parts.ahead.init(),
        fused=None if parts.fused is None else parts.fused.init(),
        promises=None if parts.promises is None else parts.promises.init(),
        encoded=None if parts.encoded is None else parts.encoded.init(),
        drift=None if parts.drift is None else parts.drift.init(),
        fleetwide=None if parts.fleetwide is None else parts.fleetwide.init(),
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
    state, usual = _renewed(parts, state)
    signals_state, frame = parts.signals.step(state.signals, reports, world, managed, now, tick)
    learn = frozenset(entry.name for entry in managed) - busy - state.disputed
    panel_state, claims = parts.panel.step(state.panel, frame.signals, learn)
    judged = parts.judge(frame.signals, claims, managed)
    shift_state = parts.shift.opened(state.shift)
    read = {snapshot.deployment: snapshot for snapshot in world}
    histograms, pages = _by_deployment(frame.histograms), _by_deployment(frame.pages)
    drift_state, drifted = _drifted(parts, state.drift, frame.fresh, read, learn)
    fleet_state: Any = state.fleetwide
    fleet: Mapping[str, Any] = {}
    if parts.fleetwide is not None:
        fleet_state, fleet = parts.fleetwide.step(fleet_state, frame.signals, claims.layout, busy)
    seen = {}
    for entry in managed:
        shift_state, shifted = parts.shift.step(
            shift_state,
            histograms.get(entry.name, ()),
            frame.invalid,
            entry,
            read.get(entry.name),
            entry.name in learn,
        )
        seen[entry.name] = _seen(
            parts,
            judged[entry.name],
            shifted,
            drifted.get(entry.name),
            claims.devices.get(entry.name),
            read.get(entry.name),
            fleet.get(entry.name),
        )
    readings = {name: one.readings for name, one in seen.items()}
    ahead_state: Any = state.ahead
    ahead: Mapping[str, tuple[Forecast, ...]] = {}
    if parts.ahead is not None:
        held = frozenset(readings) - busy
        ahead_state, ahead = parts.ahead.step(
            state.ahead, managed, readings, read, claims.devices, held, tick
        )
    promise_state: Any = state.promises
    promises: Mapping[str, tuple[PromiseTest, ...]] = {}
    if parts.promises is not None:
        promise_state, promises = parts.promises.step(
            state.promises, managed, frame.increments, now
        )
    limits = parts.forecasts(judged, managed)
    evidence = tuple(
        _evidence(
            parts,
            entry,
            frame.signals,
            pages.get(entry.name, ()),
            seen[entry.name],
            (*limits[entry.name], *ahead.get(entry.name, ())),
            frame.increments.get(entry.name, ()),
            promises.get(entry.name, ()),
        )
        for entry in managed
    )
    disputed = frozenset(
        one.deployment for one in evidence if one.suspicions or one.slo_met is False
    )
    fused_state: Any = state.fused
    if parts.fused is not None:
        # After the rules, and what it suspects disputes nothing: charts learn as they did.
        fused_state, evidence = parts.fused.step(
            state.fused, frame.signals, claims.layout, evidence, learn, busy
        )
        changed = parts.fused.settled(fused_state)
        panel_state, more = parts.panel.settled(panel_state, *changed)
        evidence = _told(evidence, (*usual, *more))
    encoded_state: Any = state.encoded
    if parts.encoded is not None:
        encoded_state, evidence = parts.encoded.step(state.encoded, evidence, learn, busy)
    state = SenseState(
        signals=signals_state,
        panel=panel_state,
        shift=shift_state,
        disputed=disputed,
        ahead=ahead_state,
        fused=fused_state,
        promises=promise_state,
        encoded=encoded_state,
        drift=drift_state,
        fleetwide=fleet_state,
    )
    return state, frame.signals, evidence


def _renewed(parts: SenseParts, state: SenseState) -> tuple[SenseState, tuple[SeriesKey, ...]]:
    """Return the state with the levels anew that a person calls normal, and whose those are."""
    if not state.anew:
        return state, ()
    fused = None if parts.fused is None else parts.fused.renewed(state.fused, state.anew)
    panel, usual = parts.panel.renewed(state.panel, state.anew)
    return replace(state, panel=panel, fused=fused, anew=frozenset()), usual


def _told(evidence: Sequence[Evidence], usual: Sequence[SeriesKey]) -> tuple[Evidence, ...]:
    """Return the evidence with whose new level is usual from this tick on."""
    if not usual:
        return tuple(evidence)
    whose: dict[str, list[tuple[str, str]]] = {}
    for key in usual:
        whose.setdefault(key.deployment, []).append((key.subject, key.signal))
    return tuple(
        replace(one, score=replace(one.score, renewed=tuple(sorted(whose[one.deployment]))))
        if one.score is not None and one.deployment in whose
        else one
        for one in evidence
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One deployment on one tick, before anything is concluded of it."""

    judged: Judged
    claims: tuple[Anomaly, ...]
    drifts: tuple[DriftTest, ...]
    device: Any
    world: Snapshot | None
    gone: frozenset[str]
    readings: dict[tuple[str, str], Reading]
    fleet: Any


def _by_deployment(every: Sequence[Any]) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for one in every:
        out.setdefault(one.deployment, []).append(one)
    return out


def _drifted(
    parts: SenseParts,
    state: Any,
    fresh: Sequence[Any],
    world: Mapping[str, Snapshot],
    learn: frozenset[str],
) -> tuple[Any, Mapping[str, Drifted]]:
    """Return the next state of the tests of histograms, and what those of each deployment say."""
    if parts.drift is None:
        return state, {}
    return parts.drift.step(state, fresh, world, learn)


def _seen(
    parts: SenseParts,
    judged: Judged,
    shifted: Shifted,
    drifted: Drifted | None,
    device: Any,
    world: Snapshot | None,
    fleet: Any,
) -> _Seen:
    histograms = (shifted,) if drifted is None else (shifted, drifted)
    gone = _no_longer_there(judged.subjects, world)
    readings = dict(zip(judged.names, judged.readings, strict=True))
    for reading in (reading for one in histograms for reading in one.readings):
        readings[reading.subject, reading.signal] = reading
    if gone:
        readings = {name: reading for name, reading in readings.items() if name[0] not in gone}
    for reading in parts.utilisation(readings, world, device):
        readings[reading.subject, reading.signal] = reading
    return _Seen(
        judged=judged,
        claims=tuple(claim for one in histograms for claim in one.anomalies),
        drifts=() if drifted is None else drifted.tests,
        device=device,
        world=world,
        gone=gone,
        readings=readings,
        fleet=fleet,
    )


def _evidence(
    parts: SenseParts,
    managed: Managed,
    signals: Signals[Any],
    pages: Sequence[PageState],
    seen: _Seen,
    forecasts: tuple[Forecast, ...],
    increments: tuple[Increments, ...],
    promises: tuple[PromiseTest, ...],
) -> Evidence:
    judged, readings = seen.judged, seen.readings
    slo_met = parts.slo_met(readings, managed.objective)
    anomalies = (*judged.anomalies, *seen.claims)
    if seen.gone:  # sources may speak of a replica for minutes after it went
        anomalies = tuple([one for one in anomalies if one.subject not in seen.gone])
        forecasts = tuple([one for one in forecasts if one.subject not in seen.gone])
    diagnose = partial(
        parts.diagnose,
        usual=judged.usual,
        learnt=judged.learnt,
        device=seen.device,
        pages=[(page.subject, page.quality) for page in pages],
        forecasts=forecasts,
        slo_met=slo_met,
        world=seen.world,
        managed=managed,
    )
    suspicions = diagnose(readings=readings)
    fleet = seen.fleet
    if fleet is not None and slo_met is True and suspicions and fleet.quiet:
        still = any(one.urgent for one in suspicions) or diagnose(
            readings=as_usual(readings, judged.usual, fleet.quiet)
        )
        fleet = fleet._replace(said=replace(fleet.said, alone=not still))
    learnt = judged.learnt.get((names.GATEWAY, names.ARRIVAL_RATE), 0.0)
    known = [readings[key] for key in sorted(readings)]
    return Evidence(
        deployment=managed.name,
        at=signals.at,
        tick=signals.tick,
        readings=tuple(known),
        anomalies=anomalies,
        forecasts=forecasts,
        suspicions=suspicions,
        slo_met=slo_met,
        ready=learnt >= READY_TICKS,
        world=seen.world,
        health=None
        if parts.health is None
        else parts.health(
            readings=readings,
            forecasts=forecasts,
            anomalies=anomalies,
            suspicions=suspicions,
            objective=managed.objective,
        ),
        increments=increments,
        promises=promises,
        fleetwide=None if fleet is None else fleet.said,
        drifts=seen.drifts,
    )


def _no_longer_there(subjects: Collection[str], world: Snapshot | None) -> frozenset[str]:
    """Return replicas that sources still speak of although the slot is no more."""
    if world is None:
        return frozenset()
    slots = {names.replica(replica.name) for replica in world.replicas}
    return frozenset(one for one in set(subjects) - slots if one.startswith("replica:"))


STATE_CLASSES = (SenseState,)
"""What `stats.arrays.from_bytes` must know to read the state, besides its parts' classes."""
