"""Drift: have predictions, features or activations moved away from what was usual while healthy?

Histograms of new events are held against a guarded reference at every tick. Two things must speak:

* Evidence that they have moved (`stats.share_test`): at least `run_length` looks between false
  alarms of one family, however often somebody looks, with the reference's own error accounted for.
* Size: total variation of what came since, beside PSI and the largest cumulative gap. With enough
  events any difference is significant; one that is too small to matter is no alarm.

A family is what belongs to one version and kind: its predictions, its features, its activations.
Their evidence is averaged, which is as honest for a hundred features as for one (no correction, no
independence), and e-BH names the features. Another version may rightly predict otherwise and has a
reference of its own; until that is there it is held against the version before, if there is one.

Unknown is an answer: no events, a page that cannot be believed, no reference, too few events to
call healthy, or one feature of the family that is any of these. `detect.shift` is the first cut and
what rules read; this one wants each event once, where that takes overlapping windows. All
histograms of all deployments are tested at once (`drift_batch`), and none knows of another's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import Quality, Verdict
from homeostat.base.part import Part
from homeostat.detect import drift_batch
from homeostat.detect.drift_batch import Look, Row, Sizes
from homeostat.detect.drift_config import Config
from homeostat.detect.drift_reference import Watched, borrow, learn, renew, unseen
from homeostat.detect.drift_said import Family, Judged, Page
from homeostat.detect.shift_case import counted
from homeostat.stats.ebh import e_bh
from homeostat.stats.psi import by_chance
from homeostat.stats.share_test import ShareBets, ShareEvidence, ShareTest

Floats = npt.NDArray[np.float64]
FamilyKey = tuple[str, str, str]
"""Deployment, version and kind."""
Key = tuple[str, str, str, str]
"""Those of the family, and the name."""
DriftState = dict[Key, Watched]
# A family that stays away for so many looks is no longer spoken of ...
_SILENT: Final = 600
# ... and after these its references are forgotten.
_FORGET: Final = 100_000


class Case(NamedTuple):
    """What is to be judged by itself: a deployment, or several with one answer to who may learn.

    Attributes:
        state: From `Drift.init` or the last step.
        pages: One for each histogram that was read; those known before and absent now are unknown.
        learning: Whether anything may be learnt: nothing suspected, nothing of ours in flight.
        earlier: Versions that ran before, by (deployment, version), latest first.
    """

    state: DriftState
    pages: Sequence[Page]
    learning: bool
    earlier: Mapping[tuple[str, str], Sequence[str]]


@dataclass(slots=True, kw_only=True)
class _Open:
    """One family while a look is taken.

    Attributes:
        key: Which.
        members: Its histograms.
        found: The pages of this look, of all families.
        quality: Why each may not be believed.
        spoken: Whether anything is said of it.
        rows: What the look came to, of those that were tested.
        sizes: How far apart, of those that had events.
        named: Those that the evidence speaks against, in an alarm.
        mean: Of the evidence.
    """

    key: FamilyKey
    members: dict[Key, Watched]
    found: Mapping[Key, Page]
    quality: Mapping[Key, Quality]
    spoken: bool
    rows: dict[Key, Row] = field(default_factory=dict)
    sizes: dict[Key, Sizes] = field(default_factory=dict)
    named: frozenset[Key] = frozenset()
    mean: float = 0.0


class Drift:
    """The drift detector; see the module. Pure: state in, state out.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.test = ShareTest(self.config.test)
        # Halfway, in orders of magnitude, from evidence's mean while all is well to an alarm.
        self._doubt = (self.config.test.run_length / self.config.test.fade) ** 0.5

    @property
    def state_classes(self) -> tuple[type, ...]:
        """Return what `stats.arrays.from_bytes` must know to read the state."""
        return STATE_CLASSES

    def init(self) -> DriftState:
        """Return the state before any reference."""
        return {}

    def step(
        self,
        state: DriftState,
        pages: Sequence[Page],
        learning: bool,  # noqa: FBT001 - same position as in every detector's step
        earlier: Mapping[tuple[str, str], Sequence[str]] | None = None,
    ) -> tuple[DriftState, tuple[Family, ...]]:
        """Judge the events since the last look, then learn from them where that is allowed.

        Args:
            state: From `init` or the last step.
            pages: See `Case`.
            learning: See there.
            earlier: See there.

        Returns:
            The next state, and one answer per family, in order.
        """
        (one,) = self.together([Case(state, pages, learning, earlier or {})])
        return one

    def together(self, cases: Sequence[Case]) -> list[tuple[DriftState, tuple[Family, ...]]]:
        """Return what `step` returns of each case, all tested at once."""
        opened = [self._opened(case) for case in cases]
        families = [one for every in opened for one in every]
        self._test(families)
        self._alarm(families)
        self._size([one for one in families if one.spoken])
        return [self._closed(case, every) for case, every in zip(cases, opened, strict=True)]

    def accept(self, state: DriftState, family: FamilyKey) -> DriftState:
        """Return the state with a family's references forgotten: what comes is its new normal."""
        return {key: one for key, one in state.items() if key[:3] != family}

    def _opened(self, case: Case) -> list[_Open]:
        """Return the families of a case, each histogram with the best reference there is."""
        past = {(name, old) for (name, _), versions in case.earlier.items() for old in versions}
        found: dict[Key, Page] = {(p.deployment, p.version, p.kind, p.name): p for p in case.pages}
        quality = {key: _quality(page) for key, page in found.items()}
        families: dict[FamilyKey, list[Key]] = {}
        for key in sorted({*case.state, *found}):
            families.setdefault(key[:3], []).append(key)
        out = []
        for family, members in families.items():
            moved = {
                key: self._moved_on(
                    case, key, found.get(key), len(members), good=quality.get(key) is Quality.GOOD
                )
                for key in members
            }
            here = any(key in found for key in members)
            recent = min(one.absent for one in moved.values()) < _SILENT
            spoken = here or (recent and family[:2] not in past)
            out.append(
                _Open(key=family, members=moved, found=found, quality=quality, spoken=spoken)
            )
        return out

    def _moved_on(
        self, case: Case, key: Key, page: Page | None, members: int, *, good: bool
    ) -> Watched:
        """Return one histogram as this look finds it, before its events."""
        one = case.state.get(key)
        if page is None or not good:
            bins = one or unseen(self.test, page.bounds if page else ())
            return replace(bins, absent=bins.absent + 1 if page is None else 0)
        if one is None or one.bounds != page.bounds:
            one = unseen(self.test, page.bounds)
        elif one.absent:
            one = replace(one, absent=0)
        return self._referred(one, case, key, members)

    def _referred(self, one: Watched, case: Case, key: Key, members: int) -> Watched:
        """Return the histogram with the best reference there is."""
        unlucky = self.config.test.unlucky / members
        least, most = self.config.reference, self.config.most
        one = renew(one, self.test, key[1], least=least, most=most, unlucky=unlucky)
        if one.renewals:
            return one
        for version in case.earlier.get((key[0], key[1]), ()):
            other = case.state.get((key[0], version, key[2], key[3]))
            if other is not None and other.renewals:
                return borrow(one, self.test, other, version, unlucky)
        return one

    def _test(self, families: Sequence[_Open]) -> None:
        """Take the look: all histograms with bets and events that can be believed."""
        where = [
            (family, key, Look(one, family.found[key].counts, len(family.members)))
            for family in families
            for key, one in family.members.items()
            if one.bets is not None and family.quality.get(key) is Quality.GOOD
        ]
        rows = drift_batch.step(self.test, [look for _, _, look in where])
        for (family, key, look), row in zip(where, rows, strict=True):
            family.rows[key] = row
            family.members[key] = replace(look.one, evidence=row.evidence)

    def _alarm(self, families: Sequence[_Open]) -> None:
        """Note the evidence of each family, and whom it speaks against."""
        for family in families:
            won = {
                key: family.rows[key].won if key in family.rows else one.won
                for key, one in family.members.items()
                if one.bets is not None
            }
            family.mean = sum(won.values()) / len(won) if won else 0.0
            if family.rows and family.mean >= self.config.test.run_length:
                family.named = self._named(won)

    def _named(self, won: Mapping[Key, float]) -> frozenset[Key]:
        """Return the histograms that the evidence speaks against, always at least one."""
        e = self.config.test.fade * np.array(list(won.values()))
        rejected = e_bh(e, self.config.named)
        rejected[e.argmax()] = True
        return frozenset(key for key, yes in zip(won, rejected.tolist(), strict=True) if yes)

    def _size(self, families: Sequence[_Open]) -> None:
        """Note how far each histogram with events is from its reference."""
        where = [
            (family, key, row)
            for family in families
            for key, row in family.rows.items()
            if not np.isnan(row.log10_e)
        ]
        looks = [
            Look(family.members[key], self._recent(family, key, row), 1)
            for family, key, row in where
        ]
        for (family, key, _), size in zip(where, drift_batch.sizes(looks), strict=True):
            family.sizes[key] = size

    def _recent(self, family: _Open, key: Key, row: Row) -> Floats:
        """Return the recent events: since it moved where it has, else of the longest window."""
        return row.counts if key in family.named else _longest(row.evidence)

    def _closed(
        self, case: Case, families: Sequence[_Open]
    ) -> tuple[DriftState, tuple[Family, ...]]:
        """Return the next state and the answers."""
        after: DriftState = {}
        for family in families:
            for key, one in self._learnt(family, learning=case.learning).items():
                if one.absent < _FORGET:
                    after[key] = one
        return after, tuple(self._family(one) for one in families if one.spoken)

    def _learnt(self, family: _Open, *, learning: bool) -> dict[Key, Watched]:
        """Return the histograms after learning this look's events, or throwing away what waits."""
        calm = learning and family.mean < self._doubt
        delay, most = self.config.delay, self.config.most
        after = {}
        for key, one in family.members.items():
            if family.quality.get(key) is not Quality.GOOD:
                after[key] = one
            elif calm:
                after[key] = learn(one, family.found[key].counts, delay=delay, most=most)
            else:
                after[key] = replace(one, waiting=()) if one.waiting else one
        return after

    def _family(self, family: _Open) -> Family:
        """Return one family's answer."""
        judged = tuple(self._judged(family, key, one) for key, one in family.members.items())
        e = self.config.test.fade * family.mean
        return Family(
            deployment=family.key[0],
            version=family.key[1],
            kind=family.key[2],
            verdict=_together(judged),
            neg_log10_p=float(np.log10(max(e, 1.0))) if family.rows else None,
            judged=judged,
        )

    def _judged(self, family: _Open, key: Key, one: Watched) -> Judged:
        """Return one histogram's answer."""
        quality = family.quality.get(key, Quality.MISSING)
        size, row = family.sizes.get(key), family.rows.get(key)
        against = one.against if quality is Quality.GOOD else ""
        if size is None or row is None or one.held is None:  # not tested, or no events
            quality = Quality.FEW if quality is Quality.GOOD else quality
            return Judged(name=key[3], verdict=Verdict.UNKNOWN, quality=quality, against=against)
        off = key in family.named and size.total_variation >= self.config.least(key[2])
        events = float(self._recent(family, key, row).sum())
        if events < self.config.events and not off:
            # The evidence holds for any number of events; sizes of a few are chance.
            return Judged(
                name=key[3],
                verdict=Verdict.UNKNOWN,
                quality=Quality.FEW,
                against=against,
                log10_e=row.log10_e,
                events=events,
            )
        held = float(one.held.sum())
        return Judged(
            name=key[3],
            verdict=Verdict.ANOMALOUS if off else Verdict.HEALTHY,
            quality=Quality.GOOD,
            against=against,
            log10_e=row.log10_e,
            events=events,
            total_variation=size.total_variation,
            psi=size.psi,
            psi_by_chance=float(by_chance(len(one.bounds), events, held)),
            gap=size.gap,
            reference=held,
            bound=one.bounds[size.bin],
            share=size.share,
            share_low=size.low,
            share_high=size.high,
            since=row.age if off else None,
        )


def _quality(page: Page) -> Quality:
    """Return why a page may not be believed; counts that cannot be are absurd."""
    if page.quality is Quality.GOOD and not counted(page.bounds, page.counts):
        return Quality.ABSURD
    return page.quality


def _longest(evidence: ShareEvidence) -> Floats:
    """Return the events of the window with the most of them, per bin."""
    out: Floats = evidence.recent[-1, :, 0]
    return out


def _together(judged: Sequence[Judged]) -> Verdict:
    """Return a family's verdict: one anomalous is enough, and one unknown is no health."""
    verdicts = {one.verdict for one in judged}
    if Verdict.ANOMALOUS in verdicts:
        return Verdict.ANOMALOUS
    return Verdict.HEALTHY if verdicts == {Verdict.HEALTHY} else Verdict.UNKNOWN


STATE_CLASSES: Final = (Watched, ShareBets, ShareEvidence)
"""What `stats.arrays.from_bytes` must know to read this part's state."""

PART: Final = Part(
    kind="histogram",
    name="drift",
    summary="Whether shares of events have moved: evidence that may be looked at on every tick.",
    config=Config,
    build=Drift,
)
