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
what the controller uses; this one wants each event once, where that takes overlapping windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import Quality, Verdict
from homeostat.detect.drift_config import Config
from homeostat.detect.drift_reference import Watched, borrow, learn, renew, unseen
from homeostat.detect.drift_said import Family, Judged, Page
from homeostat.stats import ks
from homeostat.stats.ebh import e_bh
from homeostat.stats.psi import psi, total_variation
from homeostat.stats.share_test import Heard, ShareBets, ShareEvidence, ShareTest

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
            pages: One for each histogram that was read; those known before and absent now are
                unknown.
            learning: Whether anything may be learnt: nothing suspected, nothing of ours in flight.
            earlier: Versions that ran before, by (deployment, version), latest first.

        Returns:
            The next state, and one answer per family, in order.
        """
        ran = earlier or {}
        past = {(name, old) for (name, _), versions in ran.items() for old in versions}
        found: dict[Key, Page] = {(p.deployment, p.version, p.kind, p.name): p for p in pages}
        families: dict[FamilyKey, list[Key]] = {}
        for key in sorted({*state, *found}):
            families.setdefault(key[:3], []).append(key)
        after: DriftState = {}
        said = []
        for family, members in families.items():
            moved = self._moved_on(state, members, found, ran)
            here = any(key in found for key in members)
            recent = min(one.absent for one in moved[0].values()) < _SILENT
            if here or (recent and family[:2] not in past):
                said.append(self._family(family, *moved, found))
            for key, one in self._learnt(moved[0], found, learning=learning).items():
                if one.absent < _FORGET:
                    after[key] = one
        return after, tuple(said)

    def accept(self, state: DriftState, family: FamilyKey) -> DriftState:
        """Return the state with a family's references forgotten: what comes is its new normal."""
        return {key: one for key, one in state.items() if key[:3] != family}

    def _moved_on(
        self,
        state: DriftState,
        members: Sequence[Key],
        found: Mapping[Key, Page],
        earlier: Mapping[tuple[str, str], Sequence[str]],
    ) -> tuple[dict[Key, Watched], dict[Key, Heard]]:
        """Return one family's histograms after this look's events, and what was heard."""
        after: dict[Key, Watched] = {}
        heard: dict[Key, Heard] = {}
        for key in members:
            one, page = state.get(key), found.get(key)
            if page is None or _quality(page) is not Quality.GOOD:
                bins = one or unseen(self.test, page.bounds if page else ())
                after[key] = replace(bins, absent=bins.absent + 1 if page is None else 0)
                continue
            if one is None or one.bounds != page.bounds:
                one = unseen(self.test, page.bounds)
            one = self._referred(replace(one, absent=0), state, key, len(members), earlier)
            if one.bets is not None:
                evidence, heard[key] = self.test.step(
                    one.bets, one.evidence, page.counts[:, None], among=len(members)
                )
                one = replace(one, evidence=evidence)
            after[key] = one
        return after, heard

    def _referred(
        self,
        one: Watched,
        state: DriftState,
        key: Key,
        members: int,
        earlier: Mapping[tuple[str, str], Sequence[str]],
    ) -> Watched:
        """Return the histogram with the best reference there is."""
        unlucky = self.config.test.unlucky / members
        least, most = self.config.reference, self.config.most
        one = renew(one, self.test, key[1], least=least, most=most, unlucky=unlucky)
        if one.renewals:
            return one
        for version in earlier.get((key[0], key[1]), ()):
            other = state.get((key[0], version, key[2], key[3]))
            if other is not None and other.renewals:
                return borrow(one, self.test, other, version, unlucky)
        return one

    def _learnt(
        self,
        family: Mapping[Key, Watched],
        found: Mapping[Key, Page],
        *,
        learning: bool,
    ) -> dict[Key, Watched]:
        """Return the histograms after learning this look's events, or throwing away what waits."""
        calm = learning and self._evidence(family) < self._doubt
        delay, most = self.config.delay, self.config.most
        after = {}
        for key, one in family.items():
            page = found.get(key)
            if page is None or _quality(page) is not Quality.GOOD:
                after[key] = one
            elif calm:
                after[key] = learn(one, page.counts, delay=delay, most=most)
            else:
                after[key] = replace(one, waiting=())
        return after

    def _evidence(self, family: Mapping[Key, Watched]) -> float:
        """Return the mean evidence of the histograms that have a reference, 0 if none has."""
        known = [one.won for one in family.values() if one.bets is not None]
        return float(np.mean(known)) if known else 0.0

    def _family(
        self,
        key: FamilyKey,
        family: Mapping[Key, Watched],
        heard: Mapping[Key, Heard],
        found: Mapping[Key, Page],
    ) -> Family:
        """Return one family's answer."""
        mean = self._evidence(family)
        alarm = bool(heard) and mean >= self.config.test.run_length
        named = self._named(family) if alarm else frozenset()
        judged = tuple(
            self._judged(one, family[one], found.get(one), heard.get(one), moved=one in named)
            for one in family
        )
        e = self.config.test.fade * mean
        return Family(
            deployment=key[0],
            version=key[1],
            kind=key[2],
            verdict=_together(judged),
            neg_log10_p=float(np.log10(max(e, 1.0))) if heard else None,
            judged=judged,
        )

    def _named(self, family: Mapping[Key, Watched]) -> frozenset[Key]:
        """Return the histograms that the evidence speaks against, always at least one."""
        keys = [key for key, one in family.items() if one.bets is not None]
        e = np.array([self.config.test.fade * family[key].won for key in keys])
        rejected = e_bh(e, self.config.named)
        rejected[e.argmax()] = True
        return frozenset(key for key, yes in zip(keys, rejected.tolist(), strict=True) if yes)

    def _judged(
        self, key: Key, one: Watched, page: Page | None, heard: Heard | None, *, moved: bool
    ) -> Judged:
        """Return one histogram's answer."""
        blank = Judged(name=key[3], verdict=Verdict.UNKNOWN, quality=Quality.MISSING)
        if page is None:
            return blank
        quality = _quality(page)
        if quality is not Quality.GOOD:
            return replace(blank, quality=quality)
        blank = replace(blank, quality=Quality.FEW, against=one.against)
        if heard is None or one.held is None or np.isnan(heard.log10_e[0]):
            return blank
        now = heard.counts[:, 0] if moved else _widest(one.evidence)
        distance, events = float(total_variation(now, one.held)), float(now.sum())
        verdict = Verdict.HEALTHY if events >= self.config.events else Verdict.UNKNOWN
        if moved and distance >= self.config.least(key[2]):
            verdict = Verdict.ANOMALOUS
        return replace(
            blank,
            verdict=verdict,
            quality=Quality.FEW if verdict is Verdict.UNKNOWN else Quality.GOOD,
            log10_e=float(heard.log10_e[0]),
            total_variation=distance,
            psi=float(psi(now, one.held)),
            gap=float(ks.distance(now, one.held)),
            events=events,
            since=int(heard.age[0]) if verdict is Verdict.ANOMALOUS else None,
        )


def _quality(page: Page) -> Quality:
    """Return why a page may not be believed; counts that cannot be are absurd."""
    sane = len(page.counts) == len(page.bounds) > 1 and bool((page.counts >= 0.0).all())
    if page.quality is Quality.GOOD and not (sane and np.isfinite(page.counts).all()):
        return Quality.ABSURD
    return page.quality


def _widest(evidence: ShareEvidence) -> Floats:
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
