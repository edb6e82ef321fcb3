"""Causes in the model: a bad release, broken outputs, or inputs that moved."""

import math
from collections.abc import Sequence
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Suspicion, Verdict
from homeostat.base.units import MINUTE
from homeostat.base.world import Replica
from homeostat.detect import since_release
from homeostat.detect.case import Case, median, suspicion

# Errors that a release is blamed for: above the promise and above what was usual, in real numbers.
_ERRORS_ABOVE: Final = 0.02
_ERRORS_LEAST: Final = 3.0
# Device time over what batch size explains.
_SLOW_RATIO: Final = 1.6
# The other version is clean while its devices stay well below the suspected one's ...
_CLEAN_SHARE: Final = 0.5
# ... and it fails at most a quarter as often, where at least three failures were to be expected:
# were it as bad, none at all would be seen one time in twenty.
_CLEAN_FAILED: Final = 0.25
_EXPECTED_LEAST: Final = 3.0

# Histograms: a shift of an eighth of a standard deviation, bins of a page, and how many times the
# sample's own unrest is beyond chance for windows that overlap.
_MOVED_LEAST: Final = 0.05
_BINS: Final = 12.0
_CHANCES: Final = 3.0
# Inputs are still while they move less than this share of what predictions do.
_STILL: Final = 0.5
# Half of all values of an input are ones that it did not have.
_BEYOND: Final = 0.5
# Accuracy: one answer in seventy is wrong that was right, and no chance.
_WORSE_LEAST: Final = 0.015
_SIGMAS: Final = 5.0
# A usual accuracy rests on two minutes and on the longest window, in which one value may stand, and
# on labels enough to err by 9 points.
_LEARNT_NS: Final = 2 * MINUTE
_LEARNT_LEAST: Final = 20.0
_LABELS_LEAST: Final = 30.0
# The usual follows over 300 ticks (`usual`): four times that forget what an older version did.
_SETTLED_NS: Final = 20 * MINUTE
_SAME_SHARE: Final = 0.1


def release(case: Case) -> tuple[Suspicion, ...]:
    """Every replica of the newest version is worse than every replica of the others."""
    return () if none_is_bad(case) else compared(case)


def none_is_bad(case: Case) -> bool:
    """Return whether surely no replica, of whatever version, is bad enough for `compared`."""
    errors = case.known(case.serving, names.ERROR_RATIO)
    return all(ratio < _SLOW_RATIO for ratio in case.paces()) and all(
        ratio <= 0.0 for ratio in errors
    )


def compared(case: Case) -> tuple[Suspicion, ...]:
    """Every replica of the newest version is worse than every other: all of them compared."""
    versions = {replica.version for replica in case.serving if replica.version is not None}
    if not versions or any(replica.version is None for replica in case.serving):
        return ()
    newest = _newest(case, versions)
    members = [replica for replica in case.serving if replica.version == newest]
    others = [replica for replica in case.serving if replica.version != newest]
    for measure in (_errors, _slowness):
        bad = measure(case, members, others)
        if bad is None:
            continue
        confidence, because = bad
        pools = sorted({replica.pool for replica in members})
        pool = case.managed.stable_pool if case.managed.stable_pool in pools else pools[0]
        return (
            suspicion(
                Family.RELEASE,
                names.pool(pool),
                confidence,
                f"all {len(members)} replicas of the newest version {newest}: {because[0]}",
                *because[1:],
            ),
        )
    return ()


def _newest(case: Case, versions: set[str]) -> str:
    """Return the version released last; where nothing says so, the stable pool's."""
    since = {
        one.version: one.since
        for one in ([] if case.world is None else case.world.releases)
        if one.version in versions
    }
    if len(since) == len(versions) and len(set(since.values())) == len(since):
        return max(since, key=lambda version: since[version])
    stable = [r.version for r in case.serving if r.pool == case.managed.stable_pool and r.version]
    return max(stable or sorted(versions), key=lambda version: (stable.count(version), version))


def _errors(
    case: Case, members: Sequence[Replica], others: Sequence[Replica]
) -> tuple[float, tuple[str, ...]] | None:
    own = _known(case, members, names.ERROR_RATIO)
    if not _enough(own, members):
        return None
    floor = max(case.managed.objective.error_ratio, _ERRORS_ABOVE)
    for name, ratio in own.items():
        subject = case.subjects[name]
        failed = ratio * case.samples(subject, names.ERROR_RATIO)
        if ratio < floor + _usual_errors(case, name) or failed < _ERRORS_LEAST:
            return None
    level = median(list(own.values()))
    theirs = _known(case, others, names.ERROR_RATIO)
    answered = sum(case.samples(case.subjects[name], names.ERROR_RATIO) for name in theirs)
    failed = sum(
        ratio * case.samples(case.subjects[name], names.ERROR_RATIO)
        for name, ratio in theirs.items()
    )
    expected = level * answered
    if theirs and (expected < _EXPECTED_LEAST or failed > _CLEAN_FAILED * expected):
        return None  # as bad, or too little traffic to say that it is not
    clean = _clean(case, others, bool(theirs), f"{level:.1%} errors")
    if clean is None and not theirs:
        off = {name: (own[name] - _usual_errors(case, name)) / floor for name in own}
        clean = since_release.before_and_after(case, members, others, off, names.ERROR_RATIO)
    if clean is None:
        return None
    confidence, why = clean
    return confidence, (f"errors {level:.1%}", why)


def _usual_errors(case: Case, name: str) -> float:
    return case.usual.get((case.subjects[name], names.ERROR_RATIO), 0.0)


def _slowness(
    case: Case, members: Sequence[Replica], others: Sequence[Replica]
) -> tuple[float, tuple[str, ...]] | None:
    own = {r.name: ratio for r in members if (ratio := case.slow(r)) is not None}
    if not _enough(own, members) or min(own.values()) < _SLOW_RATIO:
        return None
    level = median(list(own.values()))
    theirs = {r.name: ratio for r in others if (ratio := case.slow(r)) is not None}
    if theirs and max(theirs.values()) > _CLEAN_SHARE * level:
        return None  # all versions suffer: a common cause
    clean = _clean(case, others, bool(theirs), f"{level:.1f} times the usual device time")
    if clean is None and not theirs:
        off = {name: (ratio - 1.0) / (_SLOW_RATIO - 1.0) for name, ratio in own.items()}
        clean = since_release.before_and_after(case, members, others, off, names.DEVICE_TIME)
    if clean is None:
        return None
    confidence, why = clean
    return confidence, (f"device time {level:.1f} times what their batches explain", why)


def _known(case: Case, replicas: Sequence[Replica], signal: str) -> dict[str, float]:
    return {
        replica.name: value
        for replica in replicas
        if (value := case.value(case.subjects[replica.name], signal)) is not None
    }


def _enough(known: dict[str, float], members: Sequence[Replica]) -> bool:
    """Return whether more than half of the replicas can be judged."""
    return 2 * len(known) > len(members)


def _clean(
    case: Case,
    others: Sequence[Replica],
    seen: bool,  # noqa: FBT001 - whether the others can be seen at all
    what: str,
) -> tuple[float, str] | None:
    """Return how sure a comparison with the other versions makes us; None: not the release.

    Without another version only a release that has just happened is blamed, with less confidence.
    """
    if seen:
        versions = " and ".join(sorted({str(replica.version) for replica in others}))
        return 0.88, f"version {versions} is clean under the same traffic"
    if others:
        return None  # the other version cannot be seen: nothing to compare with
    age = since_release.age_ns(case)
    if age is None:
        return None
    return 0.7, f"{what} since the release {age / 1e9:.0f} s ago; no other version to compare with"


def output(case: Case) -> tuple[Suspicion, ...]:
    """Predictions break although the inputs are what they were.

    A model is a function: where it is the same, its answers move no farther than its inputs do, all
    of them together (total variation never grows under a map; Csiszar, Studia Sci. Math. Hungar. 2
    (1967)). One feature may have moved half as far as all of them (`_STILL`). What inputs did is
    asked of the last scrapes: seasons turn, and their answers come later than they do.
    """
    out = []
    for pool in sorted({replica.pool for replica in case.serving}):
        subject = names.pool(pool)
        invalid = case.verdict(subject, names.INVALID_SHARE) is Verdict.ANOMALOUS
        shifted = case.verdict(subject, names.PREDICTION_SHIFT) is Verdict.ANOMALOUS
        if not invalid and not shifted:
            continue
        features = case.verdict(names.MODEL, names.FEATURE_SHIFT)
        if features is Verdict.HEALTHY and _went_along(case, subject):
            features = Verdict.ANOMALOUS  # less than a drift is, and still what moves predictions
        # No shift of the inputs turns answers into no numbers; one does move them.
        if not invalid and not (shifted and features is not Verdict.ANOMALOUS):
            continue
        share = case.value(subject, names.INVALID_SHARE)
        moved = case.value(subject, names.PREDICTION_SHIFT)
        known = features is not Verdict.UNKNOWN
        out.append(
            suspicion(
                Family.OUTPUT,
                subject,
                0.89 if known else 0.6,
                f"{share:.0%} of the predictions are no numbers" if invalid and share else "",
                f"predictions moved by {moved:.2f} of 1" if shifted and moved is not None else "",
                "the inputs are what they were" if features is Verdict.HEALTHY else "",
                "" if known else "whether the inputs moved is not known",
            )
        )
    return tuple(out)


def drift(case: Case) -> tuple[Suspicion, ...]:
    """The inputs moved, and with them the predictions or the accuracy."""
    wrong = case.verdict(names.MODEL, names.ACCURACY) is Verdict.ANOMALOUS or _worse(case)
    features = case.verdict(names.MODEL, names.FEATURE_SHIFT) is Verdict.ANOMALOUS
    a_little = _moved(case, names.MODEL, names.FEATURE_SHIFT)
    if not features and not wrong and not a_little:
        return ()
    moved = case.value(names.MODEL, names.FEATURE_SHIFT)
    accuracy = case.value(names.MODEL, names.ACCURACY)
    shifted = any(
        _moved(case, names.pool(pool), names.PREDICTION_SHIFT)
        for pool in {replica.pool for replica in case.serving}
    )
    # Inputs that moved a little are worth a word where answers moved or got worse with them.
    features |= (wrong or shifted) and a_little
    if not features and (not wrong or _moved_alone(case) is not None):
        return ()  # answers that moved without their inputs are the model's: see `quality`
    if not wrong and _harmless(case, moved):
        return ()
    return (
        suspicion(
            Family.DRIFT,
            names.MODEL,
            0.8 if features else 0.55,
            f"a feature moved by {moved:.2f} of 1" if features and moved is not None else "",
            "predictions moved with it" if features and shifted else "",
            f"accuracy is down to {accuracy:.1%}" if wrong and accuracy is not None else "",
        ),
    )


def _harmless(case: Case, moved: float | None) -> bool:
    """Return whether inputs moved and labels say that answers are as right as ever.

    A drift of the inputs alone is no drift of the concept (virtual and real drift; Gama et al., ACM
    Computing Surveys 46 (2014), 2.1): weekends and holidays move inputs. One that leaves nothing as
    it was is told before the labels come. Fewer right answers than what is usual so far are no sign
    of harmlessness either, even where that is too young to be called worse by (`_worse`).
    """
    if _fallen(case):
        return False
    known = case.value(names.MODEL, names.ACCURACY) is not None
    learnt = (names.MODEL, names.ACCURACY) in case.usual
    return known and learnt and case.slo_met is True and moved is not None and moved < _BEYOND


def quality(case: Case) -> tuple[Suspicion, ...]:
    """Predictions moved, less than a breakage does, while the inputs are what they were.

    Or as slowly as a release in small steps, or a calibration that is lost bit by bit, against what
    was usual for hours. An older version is not put back for it: labels may come to say that it is
    better so. Where they say that it is worse, it is the model all the same: a concept that drifts
    moves no predictions.
    """
    found = _moved_alone(case)
    if found is None:
        return ()
    subject, moved, features = found
    accuracy = case.value(names.MODEL, names.ACCURACY)
    return (
        suspicion(
            Family.QUALITY,
            subject,
            0.5,
            f"predictions moved by {moved:.2f} of 1, the inputs by {features:.2f}",
            f"accuracy is down to {accuracy:.1%}" if _worse(case) and accuracy is not None else "",
        ),
    )


def _moved_alone(case: Case) -> tuple[str, float, float] | None:
    """Return a pool whose predictions moved without the inputs, and how far each of them did."""
    for pool in sorted({replica.pool for replica in case.serving}):
        subject = names.pool(pool)
        for of_answers, of_inputs in (
            (names.PREDICTION_SHIFT, names.FEATURE_SHIFT),
            (names.PREDICTION_SHIFT_LONG, names.FEATURE_SHIFT_LONG),
        ):
            moved, features = case.value(subject, of_answers), case.value(names.MODEL, of_inputs)
            if moved is None or features is None or not _moved(case, subject, of_answers):
                continue
            if features <= _STILL * moved and not _went_along(case, subject, of_answers):
                return subject, moved, features
    return None


def _went_along(case: Case, subject: str, signal: str = names.PREDICTION_SHIFT) -> bool:
    """Return whether inputs moved enough, now or lately, to move a pool's predictions with them."""
    if _moved(case, names.MODEL, names.FEATURE_SHIFT):
        return True
    lately = case.value(names.MODEL, names.FEATURE_SHIFT_LATELY)
    moved = case.value(subject, signal)
    return lately is not None and moved is not None and lately > _STILL * moved


def _moved(case: Case, subject: str, signal: str) -> bool:
    """Return whether a histogram moved by more than its sample alone moves it.

    Total variation of n events in k bins from their own law is about sqrt(k / (2 pi n)) (the mean
    absolute deviation of a binomial, summed over bins; Devroye, "A Course in Density Estimation"
    (1987)); several times that is no chance, and below the floor it is nobody's concern.
    """
    moved, events = case.value(subject, signal), case.samples(subject, signal)
    if moved is None or events <= 0.0:
        return False
    return moved >= _MOVED_LEAST + _CHANCES * math.sqrt(_BINS / (2.0 * math.pi * events))


def _worse(case: Case) -> bool:
    """Return whether fewer answers are right than usual, and usual is known well enough to say so.

    A usual value of a few ticks rests on the first few labels, and these are easily all right; one
    of other versions says nothing of those that serve now.
    """
    learnt = case.learnt.get((names.MODEL, names.ACCURACY), 0.0)
    if learnt < _LEARNT_LEAST or learnt * case.managed.scrape_ns < _LEARNT_NS:
        return False
    return _fallen(case) and _same_versions(case)


def _fallen(case: Case) -> bool:
    """Return whether fewer answers are right than usual, by more than their labels' number says.

    The pooled test of two proportions, each taken to rest on as many labels as there are now (a
    window that is full).
    """
    key = (names.MODEL, names.ACCURACY)
    accuracy, usual, labels = case.value(*key), case.usual.get(key), case.samples(*key)
    if accuracy is None or usual is None or labels < _LABELS_LEAST:
        return False
    pooled = (usual + accuracy) / 2.0
    spread = math.sqrt(max(pooled * (1.0 - pooled), 0.0) * 2.0 / labels)
    return usual - accuracy >= max(_WORSE_LEAST, _SIGMAS * spread)


def _same_versions(case: Case) -> bool:
    """Return whether the versions that usually answer answer now, in their usual shares."""
    if case.world is None:
        return False
    newest = max((release.since for release in case.world.releases), default=0)
    if case.world.observed_at - newest < _SETTLED_NS:
        return False
    pools = [names.pool(pool) for pool in sorted({replica.pool for replica in case.replicas})]
    rates = [case.value(pool, names.ARRIVAL_RATE) for pool in pools]
    usual = [case.usual.get((pool, names.ARRIVAL_RATE)) for pool in pools]
    if len(pools) < 2:  # noqa: PLR2004 - one pool has all of it
        return True
    now, before = _shares(rates), _shares(usual)
    if now is None or before is None:
        return False
    return all(abs(a - b) <= _SAME_SHARE for a, b in zip(now, before, strict=True))


def _shares(rates: Sequence[float | None]) -> list[float] | None:
    """Return each rate as a share of them all, None where one is unknown or nothing arrives."""
    known = [rate for rate in rates if rate is not None]
    total = sum(known)
    return [rate / total for rate in known] if len(known) == len(rates) and total > 0.0 else None
