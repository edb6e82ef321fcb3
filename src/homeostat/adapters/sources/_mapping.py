"""From a series (sample name and labels) to the raw signals it feeds, by a preset's rules."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from homeostat.adapters.sources._fetch import AbsurdError
from homeostat.adapters.sources.presets import SUBJECT_OF_LABEL, Preset, Rule
from homeostat.base.evidence import Kind, SeriesKey

_NAME_MAX = 100  # characters of a label value that becomes part of a name
_ROUND = 9  # digits kept of a scaled bucket bound: 0.035 s is 35 ms, not 35.00000000000001


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One raw signal that a series feeds.

    Attributes:
        key: The series of ours.
        kind: How to read the value.
        le: Upper bound of a bucket, scaled; None for others.
        scale: Factor of the value.
    """

    key: SeriesKey
    kind: Kind
    le: float | None
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """All that one series means.

    Attributes:
        sample: The sample's name.
        identity: Name and sorted labels: two series with one identity are a duplicate.
        targets: Signals it feeds.
        zeros: Counters of ours that are zero, not missing, if nothing else feeds them.
    """

    sample: str
    identity: tuple[str, tuple[tuple[str, str], ...]]
    targets: tuple[Target, ...]
    zeros: tuple[SeriesKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapper:
    """A preset, bound to the deployment and subject that one source speaks for.

    Attributes:
        preset: The rules.
        deployment: The managed model's name.
        subject: Subject of series that name none.
        pools: Pools to report; empty for all that appear.
    """

    preset: Preset
    deployment: str
    subject: str
    pools: tuple[str, ...] = ()

    def names(self) -> frozenset[str]:
        """Return the sample names that mean anything."""
        named = {rule.sample for rule in self.preset.rules}
        named |= {sample for rule in self.preset.rules for sample in rule.zero_if}
        return frozenset(named | {self.preset.started_sample, self.preset.uptime_sample} - {""})

    def meaning(self, sample: str, labels: Mapping[str, str]) -> Meaning:
        """Return what a series means.

        Raises:
            AbsurdError: A label that must be a name or a bound is neither.
        """
        targets = tuple(
            target
            for rule in self.preset.rules
            if rule.sample == sample and (target := self._target(rule, labels)) is not None
        )
        zeros = tuple(
            key
            for rule in self.preset.rules
            if sample in rule.zero_if and (key := self._key(rule, labels)) is not None
        )
        identity = (sample, tuple(sorted(labels.items())))
        return Meaning(sample=sample, identity=identity, targets=targets, zeros=zeros)

    def _target(self, rule: Rule, labels: Mapping[str, str]) -> Target | None:
        if any(not labels.get(name, "").startswith(starts) for name, starts in rule.where):
            return None
        if any(labels.get(name, "") in values for name, values in rule.unless):
            return None
        key = self._key(rule, labels)
        if key is None:
            return None
        if rule.kind is not Kind.BUCKET:
            return Target(key=key, kind=rule.kind, le=None, scale=rule.scale)
        return Target(key=key, kind=rule.kind, le=_bound(labels.get("le"), rule), scale=1.0)

    def _key(self, rule: Rule, labels: Mapping[str, str]) -> SeriesKey | None:
        subject, signal = self.subject, rule.signal
        if rule.subject_label:
            named = _name(labels.get(rule.subject_label), rule.subject_label)
            if self.pools and named not in self.pools:
                return None
            subject = SUBJECT_OF_LABEL[rule.subject_label](named)
        if rule.name_label:
            signal += _name(labels.get(rule.name_label), rule.name_label)
        return SeriesKey(deployment=self.deployment, subject=subject, signal=signal)


def _name(value: str | None, label: str) -> str:
    if not value or len(value) > _NAME_MAX or not value.isprintable():
        raise AbsurdError(f"label {label} is {(value or '')[:60]!r}, not a name")
    return value


def _bound(value: str | None, rule: Rule) -> float:
    try:
        bound = float(value or "")
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise AbsurdError(f"{rule.sample} has le={(value or '')[:60]!r}")
    return round(bound * rule.scale, _ROUND) if math.isfinite(bound) else bound
