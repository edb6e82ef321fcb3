"""Drift in the loop: what a model says, is asked and does inside, against what was usual.

The new events of a tick (`signals.fresh`), of all believed replicas of a version together, go to
the anytime-valid share test (`detect.drift`), all deployments at once; its promise is about looks,
and each event is in one look. A version has predictions and activations of its own, and until they
are there is held against the one that its pool ran before. Versions share the features.

What is said of each histogram is shown (`base.drift`): evidence, sizes, the samples behind them. No
rule, guard or score reads it: these go by the windows' distance (`detect.shift`; decisions 37 and
69). Of activations, which have no window, a family that moved is a claim besides, with how far the
layer moved that moved most: it counts in the health score, and bears out the fused score. A pool
that runs two versions is not spoken of, and a deployment without histograms costs nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names, raw
from homeostat.base.drift import DriftTest
from homeostat.base.evidence import Anomaly, Quality, Reading, Verdict
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect import drift as share_test
from homeostat.detect.drift import Case, Drift, DriftState
from homeostat.detect.drift_config import Config
from homeostat.detect.drift_said import Family, Judged
from homeostat.detect.shift_case import HistogramLike
from homeostat.detect.shift_reading import reading_of
from homeostat.stats import ks

Floats = npt.NDArray[np.float64]
DETECTOR: Final = "drift"
PREDICTION: Final = "prediction"
FEATURE: Final = "feature"
ACTIVATION: Final = "activation"
# Histograms of a family that are shown, the most telling first: evidence is kept in the journal.
_SHOWN: Final = 5
_MOVED: Final[Mapping[Verdict, bool | None]] = {
    Verdict.ANOMALOUS: True,
    Verdict.HEALTHY: False,
    Verdict.UNKNOWN: None,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """New events of one histogram of one version; see `detect.drift_said.Page`."""

    deployment: str
    version: str
    kind: str
    name: str
    bounds: tuple[float, ...]
    counts: Floats
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """What one deployment's histograms say.

    Attributes:
        readings: How far activations moved, of each pool that has any.
        anomalies: The claims of those that moved, or are unknown.
        tests: Of all kinds; shown, and nothing follows from them.
    """

    readings: tuple[Reading, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    tests: tuple[DriftTest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftingState:
    """What is remembered: the detector's state, by deployment."""

    drift: dict[str, DriftState] = field(default_factory=dict)


class Drifting:
    """Drift as one part; see `loop.sense_parts.DriftPart`.

    Args:
        config: Settings of the detector.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        self._drift = Drift(self.config)

    def init(self) -> DriftingState:
        """Return the state before any reference."""
        return DriftingState()

    def step(
        self,
        state: DriftingState,
        fresh: Sequence[HistogramLike],
        world: Mapping[str, Snapshot],
        learn: frozenset[str],
    ) -> tuple[DriftingState, dict[str, Drifted]]:
        """Judge the new events of each deployment that shows histograms, then learn from them.

        Args:
            state: From `init` or the last step.
            fresh: New events of the tick, per page.
            world: Deployments as last read back; without it no version is known.
            learn: Deployments in which nothing is suspected and nothing of ours is in flight.

        Returns:
            The next state, and what is said of those deployments.
        """
        if not fresh and not state.drift:
            return state, {}
        heard: dict[str, list[HistogramLike]] = {name: [] for name in state.drift}
        for one in fresh:
            heard.setdefault(one.deployment, []).append(one)
        known = [name for name in heard if name in world]
        cases = [
            Case(
                state.drift.get(name, {}),
                _pages(name, heard[name], world[name]),
                name in learn,
                _earlier(world[name]),
            )
            for name in known
        ]
        after, out = dict(state.drift), {}
        for name, (moved, said) in zip(known, self._drift.together(cases), strict=True):
            after[name], out[name] = moved, _said(said, world[name], self.config)
        return DriftingState(drift=after), out


def _pools(world: Snapshot) -> dict[str, str]:
    """Return the version of each pool that runs one version."""
    found: dict[str, set[str | None]] = {}
    for one in world.replicas:
        if one.state is not ReplicaState.GONE:
            found.setdefault(one.pool, set()).add(one.version)
    sole = {pool: next(iter(versions)) for pool, versions in found.items() if len(versions) == 1}
    return {pool: version for pool, version in sole.items() if version is not None}


def _earlier(world: Snapshot) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the versions that the pools of each version ran before, latest first."""
    out: dict[tuple[str, str], tuple[str, ...]] = {}
    for pool, version in _pools(world).items():
        ran = [one.version for one in reversed(world.releases) if one.pool == pool]
        before = tuple(dict.fromkeys(one for one in ran if one != version))
        key = (world.deployment, version)
        out[key] = tuple(dict.fromkeys((*out.get(key, ()), *before)))
    return out


def _pages(name: str, heard: Sequence[HistogramLike], world: Snapshot) -> list[Page]:
    """Return the new events of each version's histograms, all believed replicas together."""
    version = {
        names.replica(one.name): one.version
        for one in world.replicas
        if one.state is not ReplicaState.GONE
    }
    groups: dict[tuple[str, str, str], list[HistogramLike]] = {}
    for one in heard:
        what = _kind(one.signal)
        if what is None or one.subject not in version:
            continue
        # What is asked does not depend on who answers: versions share the features.
        running = "" if what[0] == FEATURE else version[one.subject]
        if running is not None:
            groups.setdefault((running, *what), []).append(one)
    return [_page(name, group, own) for group, own in sorted(groups.items())]


def _kind(signal: str) -> tuple[str, str] | None:
    """Return the kind and name of a histogram, None for one that is not tested."""
    if signal == raw.PREDICTION:
        return PREDICTION, ""
    feature = raw.feature_name(signal)
    if feature is not None:
        return FEATURE, feature
    layer = raw.activation_name(signal)
    return None if layer is None else (ACTIVATION, layer)


def _page(name: str, group: tuple[str, str, str], own: Sequence[HistogramLike]) -> Page:
    believed = [one for one in own if one.quality is Quality.GOOD]
    first = own[0] if not believed else believed[0]
    counts, quality = first.counts, first.quality
    for one in believed[1:]:
        if one.bounds != first.bounds:
            quality = Quality.ABSURD  # pages that cut differently cannot be added up
            break
        counts = counts + one.counts
    version, kind, histogram = group
    return Page(
        deployment=name,
        version=version,
        kind=kind,
        name=histogram,
        bounds=first.bounds,
        counts=counts,
        quality=quality,
    )


def _said(said: Sequence[Family], world: Snapshot, config: Config) -> Drifted:
    """Return the tests of each pool and of the features, and the claims of activations."""
    families = {(one.version, one.kind): one for one in said}
    readings, anomalies, tests = [], [], list[DriftTest]()
    if ("", FEATURE) in families:
        tests += _tests(names.MODEL, families["", FEATURE])
    for pool, version in sorted(_pools(world).items()):
        subject = names.pool(pool)
        for kind in (PREDICTION, ACTIVATION):
            if (version, kind) in families:
                tests += _tests(subject, families[version, kind])
        family = families.get((version, ACTIVATION))
        if family is None:
            continue
        reading = _reading(subject, family, config)
        readings.append(reading)
        if reading.verdict is not Verdict.HEALTHY:
            anomalies.append(
                Anomaly(
                    detector=DETECTOR,
                    subject=reading.subject,
                    signal=names.ACTIVATION_SHIFT,
                    verdict=reading.verdict,
                    neg_log10_p=(
                        family.neg_log10_p if reading.verdict is Verdict.ANOMALOUS else None
                    ),
                )
            )
    return Drifted(readings=tuple(readings), anomalies=tuple(anomalies), tests=tuple(tests))


def _reading(subject: str, family: Family, config: Config) -> Reading:
    known = [one for one in family.judged if one.total_variation is not None]
    if family.verdict is Verdict.UNKNOWN or not known:
        why = [one.quality for one in family.judged if one.quality is not Quality.GOOD]
        return reading_of(subject, names.ACTIVATION_SHIFT, why[0] if why else Quality.FEW)
    worst = max(known, key=lambda one: (one.verdict is Verdict.ANOMALOUS, one.total_variation))
    return reading_of(
        subject,
        names.ACTIVATION_SHIFT,
        Quality.GOOD,
        family.verdict,
        value=worst.total_variation,
        low=0.0,
        high=config.least(ACTIVATION),
        samples=worst.events or 0.0,
    )


def _tests(subject: str, family: Family) -> Iterator[DriftTest]:
    """Return what is shown of a family: its most telling histograms, in order of their names."""
    every = family.judged
    if len(every) > _SHOWN:
        every = tuple(sorted(sorted(every, key=_telling)[:_SHOWN], key=lambda one: one.name))
    return (_test(subject, family, one) for one in every)


def _telling(one: Judged) -> tuple[bool, bool, float, str]:
    """Return what sorts the most telling first: what moved, what is unknown, by evidence."""
    most = 0.0 if one.log10_e is None else -one.log10_e
    moved, unknown = one.verdict is Verdict.ANOMALOUS, one.verdict is Verdict.UNKNOWN
    return (not moved, not unknown, most, one.name)


def _test(subject: str, family: Family, one: Judged) -> DriftTest:
    sized = one.gap is not None and one.events is not None and one.reference is not None
    finite = one.bound is not None and np.isfinite(one.bound)
    return DriftTest(
        subject=subject,
        kind=family.kind,
        name=one.name,
        moved=_MOVED[one.verdict],
        why="" if one.verdict is not Verdict.UNKNOWN else one.quality.value,
        against=one.against,
        log10_e=one.log10_e,
        all_log10_e=family.neg_log10_p,
        among=len(family.judged),
        total_variation=one.total_variation,
        psi=one.psi,
        psi_by_chance=one.psi_by_chance,
        gap=one.gap,
        gap_neg_log10_p=(
            ks.of_gap(one.gap or 0.0, one.events or 0.0, one.reference or 0.0) if sized else None
        ),
        events=one.events,
        reference=one.reference,
        bound=one.bound if finite else None,
        share=one.share,
        share_low=one.share_low,
        share_high=one.share_high,
        looks=one.since,
    )


STATE_CLASSES: Final = (DriftingState, *share_test.STATE_CLASSES)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
