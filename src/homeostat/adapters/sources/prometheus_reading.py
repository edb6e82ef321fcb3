"""From the samples of many series to one value per raw signal, with the time it is from.

Counters and buckets are summed by what they gained (`prometheus_tally`); gauges are summed or the
largest is taken, by what they say. Only series that live count: one whose last sample is well
older than its usual step has ended. Where a target of a sum is known to be down, sums that would
be too small are left out, because a load that looks low may be taken away from; ratios of what was
answered stay, and so do sums that it had no part in: a gateway that is up counts every arrival,
whoever behind it is down. A target that was never heard may have a part in any sum of its subject.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from homeostat.adapters.sources import prometheus_devices as devices
from homeostat.adapters.sources._mapping import Mapper, Meaning
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.prometheus_ended import began, ended
from homeostat.adapters.sources.prometheus_tally import FORGOTTEN_S, Tally
from homeostat.adapters.sources.rules import Preset
from homeostat.base import names, raw
from homeostat.base.evidence import Kind, SeriesKey

UP: Final = "up"
"""Prometheus writes it for every target: 1 if the last scrape worked."""

# Extents of a whole: too small while a part is missing, and then somebody would shrink it.
_EXTENTS: Final = frozenset({raw.REQUESTS_ARRIVED, raw.QUEUE, raw.INFLIGHT})
_SUMMED: Final = frozenset({raw.QUEUE, raw.INFLIGHT})
_LEAST: Final = frozenset({raw.GATEWAY_LIVE, raw.GATEWAY_UPTIME})
# Ranks of one engine say the same thing: counted once, the largest (SGLang's metrics collector).
_RANKS: Final = frozenset({"tp_rank", "pp_rank", "moe_ep_rank", "dp_rank"})
# Closer starts are one start: uptimes are whole seconds, read up to a scrape late.
_SAME_START_S: Final = 5.0
_REPLICA: Final = names.replica("")

Slot = tuple[SeriesKey, float | None]
Identity = frozenset[tuple[str, str]]
Target = tuple[str, str]
Share = tuple[int, str]
"""A preset's place and a subject: whoever spoke its words of that subject has a part in its sums,
also in one that it had not counted anything for yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One raw signal, or one bucket of it.

    Attributes:
        key: The series of ours.
        kind: How to read it.
        le: Upper bound of a bucket, None for others.
        value: In the signal's unit; NaN where a sample was no number.
        at_s: When the oldest part of it was scraped, in seconds by the database's clock.
    """

    key: SeriesKey
    kind: Kind
    le: float | None
    value: float
    at_s: float


@dataclass(slots=True)
class _Part:
    """What feeds one slot in one round."""

    kind: Kind
    gained: float = 0.0
    at_s: float = math.inf
    gauges: dict[Identity, float] = field(default_factory=dict)

    def value(self, signal: str) -> float:
        """Return the gauges as one."""
        found = self.gauges.values()
        if any(math.isnan(one) for one in found):
            return math.nan
        if signal in _SUMMED:
            return math.fsum(found) if all(map(math.isfinite, found)) else math.nan
        return min(found) if signal in _LEAST else max(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One series of a round.

    Attributes:
        series: Its samples.
        identity: Its labels, name included.
        target: Who was scraped.
        live: It goes on; False if its last sample is well older than its usual step.
        meanings: By the place of the preset, best first; empty if it means nothing.
    """

    series: Series
    identity: Identity
    target: Target
    live: bool
    meanings: Mapping[int, Meaning]

    @property
    def at_s(self) -> float:
        """When its last sample was taken."""
        return self.series.samples[-1][0]

    @property
    def last(self) -> float:
        """Its last value."""
        return self.series.samples[-1][1]


class Reading:
    """What one source makes of its rounds. Changes in place.

    Args:
        presets: The rules, best first: the first that feeds a signal keeps it.
        deployment: The managed model's name.
        subject: What series speak for that name no replica; empty if all must.
        replica_label: Label that holds a replica's name; empty if nothing does.
        pools: Pools to report; empty for all that appear.
    """

    def __init__(
        self,
        presets: Sequence[Preset],
        *,
        deployment: str,
        subject: str,
        replica_label: str = "",
        pools: tuple[str, ...] = (),
    ) -> None:
        self._presets = tuple(presets)
        self._deployment, self._subject = deployment, subject
        self._replica_label, self._pools = replica_label, pools
        self._named = tuple(self._mapper(preset, subject).names() for preset in self._presets)
        self._ranks = tuple(
            {rule.sample: rank for rank, rule in enumerate(preset.rules)} for preset in presets
        )
        self._tally = Tally()
        self._totals: dict[Slot, float] = {}
        self._owner: dict[SeriesKey, int] = {}
        self._meanings: dict[Identity, Mapping[int, Meaning]] = {}
        self._heard: dict[Target, set[Share]] = {}
        self._looked: dict[Target, float] = {}
        self._before: frozenset[Identity] = frozenset()
        self._newest_s = math.inf
        self._began: dict[Target, float] = {}
        self._started: dict[str, float] = {}
        self._lived: dict[str, float] = {}

    @property
    def names(self) -> frozenset[str]:
        """The metrics that mean something, and `up`."""
        return frozenset().union(*self._named, {UP})

    def owners(self) -> dict[str, int]:
        """Return how many signals each preset feeds, best preset first."""
        said = [self._presets[place].name for place in sorted(self._owner.values())]
        return {name: said.count(name) for name in dict.fromkeys(said)}

    def started(self, subject: str) -> float:
        """Return when a replica's process began, 0 where nobody says.

        Sums of many processes go on when one of them starts again: they have no such time.
        """
        return self._started.get(subject, 0.0) if subject.startswith(_REPLICA) else 0.0

    def forgotten(self) -> set[str]:
        """Drop the replicas that were silent for long, and return their subjects.

        Names of pods come and go for ever. What is no replica is asked for by name, and stays.
        """
        old = {
            subject
            for subject, at_s in self._lived.items()
            if subject.startswith(_REPLICA) and at_s < self._newest_s - FORGOTTEN_S
        }
        if old:
            self._totals = {s: n for s, n in self._totals.items() if s[0].subject not in old}
            self._owner = {key: n for key, n in self._owner.items() if key.subject not in old}
            self._started = {name: at for name, at in self._started.items() if name not in old}
            self._lived = {name: at for name, at in self._lived.items() if name not in old}
        return old

    def take(self, series: Sequence[Series]) -> list[Value]:
        """Return what a round says, one value per raw signal or bucket.

        Args:
            series: Samples as they were scraped.

        Raises:
            AbsurdError: A label that must be a name or a bound is neither.
        """
        seen = self._seen([one for one in series if one.samples])
        self._note_starts(seen)
        gained = self._gained(seen)
        parts: dict[Slot, _Part] = {}
        zeros: dict[SeriesKey, float] = {}
        for place, one, meaning in self._best_first(seen):
            self._fill(parts, one, place, meaning, gained[one.identity])
            own = [key for key in meaning.zeros if one.live and self._owns(place, key)]
            zeros |= dict.fromkeys(own, one.at_s)
        blind = self._blind(seen)
        self._look(seen)
        return [*self._values(parts, zeros, blind), *self._devices(seen, blind)]

    def _mapper(self, preset: Preset, subject: str) -> Mapper:
        return Mapper(
            preset=preset, deployment=self._deployment, subject=subject, pools=self._pools
        )

    def _seen(self, series: Sequence[Series]) -> list[_Seen]:
        """Return the series of a round; what they mean is worked out once and kept."""
        over, known, out = ended(series), self._meanings, []
        self._meanings = {}
        for place, one in enumerate(series):
            identity = one.identity
            target = (one.labels.get("job", ""), one.labels.get("instance", ""))
            if identity not in known:
                known[identity] = self._learn(one)
                self._hear(target, known[identity])
            meanings = self._meanings[identity] = known[identity]
            out.append(
                _Seen(
                    series=one,
                    identity=identity,
                    target=target,
                    live=place not in over,
                    meanings=meanings,
                )
            )
        return out

    def _learn(self, one: Series) -> Mapping[int, Meaning]:
        subject = self._subject_of(one)
        if not subject:
            return {}
        labels = {label: value for label, value in one.labels.items() if label != "__name__"}
        return {
            place: self._mapper(preset, subject).meaning(one.name, labels)
            for place, preset in enumerate(self._presets)
            if one.name in self._named[place]
        }

    def _hear(self, target: Target, meanings: Mapping[int, Meaning]) -> None:
        """Keep in which sums a target has a part; a series that has ended says it as well."""
        for place, meaning in meanings.items():
            for key in (*(one.key for one in meaning.targets), *meaning.zeros):
                self._heard.setdefault(target, set()).add((place, key.subject))

    def _subject_of(self, one: Series) -> str:
        named = one.labels.get(self._replica_label, "") if self._replica_label else ""
        return names.replica(named) if named else self._subject

    def _best_first(self, seen: Sequence[_Seen]) -> Iterator[tuple[int, _Seen, Meaning]]:
        for place in range(len(self._presets)):
            for one in seen:
                if (meaning := one.meanings.get(place)) is not None:
                    yield place, one, meaning

    def _note_starts(self, seen: Sequence[_Seen]) -> None:
        """Keep when each process and the newest process of each subject began."""
        for place, one, _ in self._best_first(seen):
            at_s = began(self._presets[place], one.series)
            # Uptimes are whole seconds: only a start that moved by more is another one.
            if at_s > self._began.get(one.target, 0.0) + _SAME_START_S:
                self._began[one.target] = at_s
                subject = self._subject_of(one.series)
                self._started[subject] = max(self._started.get(subject, 0.0), at_s)

    def _gained(self, seen: Sequence[_Seen]) -> dict[Identity, float]:
        """Return what each counter gained since the round before."""
        # Somebody who is watched goes on under the names that he had: what appears now began now.
        steady = {
            one.target
            for one in seen
            if one.identity in self._before
            and one.series.name != UP
            and one.at_s > self._looked.get(one.target, math.inf)
        }
        gained = {}
        for one in seen:
            kinds = {target.kind for m in one.meanings.values() for target in m.targets}
            if not kinds - {Kind.GAUGE}:
                gained[one.identity] = 0.0
                continue
            first_s = one.series.samples[0][0]
            appeared = one.target in steady and first_s > self._looked.get(one.target, math.inf)
            reborn = self._began.get(one.target, -math.inf) > self._newest_s
            gained[one.identity] = self._tally.gained(
                one.identity, one.series.samples, from_zero=appeared or reborn
            )
        return gained

    def _owns(self, place: int, key: SeriesKey) -> bool:
        """Return whether a preset feeds a signal; the first that does keeps it.

        Another one's counters are other counters: to change over would look like a jump.
        """
        return self._owner.setdefault(key, place) == place

    def _fill(
        self, parts: dict[Slot, _Part], one: _Seen, place: int, meaning: Meaning, gained: float
    ) -> None:
        for target in meaning.targets:
            if target.key.signal in devices.SIGNALS:
                continue
            if one.live:
                self._owner.setdefault(target.key, place)
            if self._owner.get(target.key) != place:
                continue
            slot = (target.key, target.le)
            counts = target.kind is not Kind.GAUGE
            if counts and not math.isnan(gained):
                self._totals[slot] = self._totals.get(slot, 0.0) + gained * target.scale
            if not one.live:
                continue
            part = parts.setdefault(slot, _Part(kind=target.kind))
            part.at_s = min(part.at_s, one.at_s)
            self._lived[target.key.subject] = one.at_s
            if counts:
                part.gained += gained
            else:
                group = frozenset(pair for pair in one.identity if pair[0] not in _RANKS)
                value = one.last * target.scale
                part.gauges[group] = max(part.gauges.get(group, value), value)

    def _devices(self, seen: Sequence[_Seen], blind: set[Share]) -> Iterator[Value]:
        """Yield what is known of the replicas' devices; one that may lack a device says nothing."""
        heard = [
            devices.Heard(
                place=place,
                rank=self._ranks[place][one.series.name],
                subject=devices.own(one.series.labels, target.key.subject, self._replica_label),
                signal=target.key.signal,
                labels=one.series.labels,
                value=one.last * target.scale,
                at_s=one.at_s,
            )
            for place, one, meaning in self._best_first(seen)
            for target in (meaning.targets if one.live else ())
            if target.key.signal in devices.SIGNALS
        ]
        for one in devices.told(heard):
            key = SeriesKey(deployment=self._deployment, subject=one.subject, signal=one.signal)
            if self._owns(one.place, key) and (one.place, one.subject) not in blind:
                self._lived[one.subject] = one.at_s
                yield Value(key=key, kind=Kind.GAUGE, le=None, value=one.value, at_s=one.at_s)

    def _blind(self, seen: Iterable[_Seen]) -> set[Share]:
        """Return in which sums a target that is known to be down has a part."""
        blind: set[Share] = set()
        for one in seen:
            if one.series.name == UP and one.live and one.last == 0.0:
                own = self._subject_of(one.series)
                anything = {(place, own) for place in range(len(self._presets))}
                blind |= self._heard.get(one.target, anything)
        return blind

    def _hidden(self, key: SeriesKey, blind: set[Share]) -> bool:
        """Return whether a value would be too small because somebody who is down is missing."""
        return key.signal in _EXTENTS and (self._owner.get(key, -1), key.subject) in blind

    def _look(self, seen: Sequence[_Seen]) -> None:
        """Remember when each target was last looked at."""
        self._looked, self._before = {}, frozenset(one.identity for one in seen)
        for one in seen:
            self._looked[one.target] = max(self._looked.get(one.target, 0.0), one.at_s)
        if self._looked:
            self._newest_s = max(self._looked.values())
            self._tally.forget(self._newest_s)
        self._heard = {one: part for one, part in self._heard.items() if one in self._looked}
        self._began = {one: at for one, at in self._began.items() if one in self._looked}

    def _values(
        self, parts: Mapping[Slot, _Part], zeros: Mapping[SeriesKey, float], blind: set[Share]
    ) -> Iterator[Value]:
        for (key, le), part in parts.items():
            if self._hidden(key, blind):
                continue
            if part.kind is Kind.GAUGE:
                value = part.value(key.signal)
            else:
                value = math.nan if math.isnan(part.gained) else self._totals[key, le]
            yield Value(key=key, kind=part.kind, le=le, value=value, at_s=part.at_s)
        for key, at_s in zeros.items():
            if (key, None) not in parts and not self._hidden(key, blind):
                total = self._totals.setdefault((key, None), 0.0)
                yield Value(key=key, kind=Kind.COUNTER, le=None, value=total, at_s=at_s)
