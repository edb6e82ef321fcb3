"""Drift of activations in the loop: what a model does inside, against what was usual while healthy.

A server that counts the activations of its layers (`homeostat_instrument`) shows what a model
does before it shows in answers. The new events of a tick (`signals.fresh`), of all believed
replicas of a version together, go to the anytime-valid share test (`detect.drift`); its promise is
about looks, and each event is in one look. A version has a reference of its own, and until that is
there is held against the one that its pool ran before.

Said of each pool is how far the layer moved that moved most, with the family's verdict; a family
that moved is a claim, not a suspicion: it counts in the health score, and bears out the
deployment's fused score. Predictions and features are `detect.shift`'s (decision 37 says why). A
pool without activations is not spoken of, and a deployment without any costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names, raw
from homeostat.base.evidence import Anomaly, Quality, Reading, Verdict
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect import drift as share_test
from homeostat.detect.drift import Drift, DriftState
from homeostat.detect.drift_config import Config
from homeostat.detect.drift_said import Family
from homeostat.detect.shift_case import HistogramLike
from homeostat.detect.shift_reading import reading_of

Floats = npt.NDArray[np.float64]
DETECTOR: Final = "drift"
KIND: Final = "activation"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """New events of one layer of one version; see `detect.drift_said.Page`."""

    deployment: str
    version: str
    name: str
    bounds: tuple[float, ...]
    counts: Floats
    quality: Quality
    kind: str = KIND


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """What one deployment's activations say."""

    readings: tuple[Reading, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftingState:
    """What is remembered: the detector's state, by deployment."""

    drift: dict[str, DriftState] = field(default_factory=dict)


class Drifting:
    """Drift of activations as one part; see `loop.sense_parts.DriftPart`.

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
        """Judge the new events of each deployment that shows activations, then learn from them.

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
        after, out = dict(state.drift), {}
        for name, own in heard.items():
            seen = world.get(name)
            if seen is None:
                continue
            pages = _pages(name, own, seen)
            moved, said = self._drift.step(
                state.drift.get(name, {}), pages, name in learn, _earlier(seen)
            )
            after[name], out[name] = moved, _said(said, seen, self.config)
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
    """Return the new events of each version's layers, all believed replicas together."""
    version = {
        names.replica(one.name): one.version
        for one in world.replicas
        if one.state is not ReplicaState.GONE and one.version is not None
    }
    groups: dict[tuple[str, str], list[HistogramLike]] = {}
    for one in heard:
        layer = raw.activation_name(one.signal)
        if layer is not None and one.subject in version:
            groups.setdefault((version[one.subject], layer), []).append(one)
    return [_page(name, running, layer, own) for (running, layer), own in sorted(groups.items())]


def _page(name: str, version: str, layer: str, own: Sequence[HistogramLike]) -> Page:
    believed = [one for one in own if one.quality is Quality.GOOD]
    first = own[0] if not believed else believed[0]
    counts, quality = first.counts.copy(), first.quality
    for one in believed[1:]:
        if one.bounds != first.bounds:
            quality = Quality.ABSURD  # pages that cut differently cannot be added up
            break
        counts += one.counts
    return Page(
        deployment=name,
        version=version,
        name=layer,
        bounds=first.bounds,
        counts=counts,
        quality=quality,
    )


def _said(said: Sequence[Family], world: Snapshot, config: Config) -> Drifted:
    """Return a reading for each pool with activations, and the claims of those that moved."""
    families = {one.version: one for one in said}
    readings, anomalies = [], []
    for pool, version in sorted(_pools(world).items()):
        family = families.get(version)
        if family is None:
            continue
        reading = _reading(names.pool(pool), family, config)
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
    return Drifted(readings=tuple(readings), anomalies=tuple(anomalies))


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
        high=config.least(KIND),
        samples=worst.events,
    )


STATE_CLASSES: Final = (DriftingState, *share_test.STATE_CLASSES)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
