"""The autonomy ladder: which kinds of actions run unasked, by whose word or by what evidence.

A kind runs unasked on a deployment in mode auto while one of these holds: the policy grants it
(`autonomy.auto`, a named person's), a named person granted it since its last harm, or the policy
lets it be earned (`autonomy.earn`) and 59 of its actions in a row, over the whole fleet, were
verified to help: then the exact upper bound of the probability of harm is below 5 % (Clopper and
Pearson, one-sided 95 %, no harm in 59). The first harm takes it away from every deployment, until
a named person grants it again or the evidence is there anew. Harm is what was found to do harm,
whatever its end (a restart cannot be taken back; a promotion is taken back by its watch), what went
back and what is stuck. Nothing here goes beyond what the policy names, and the policy's mode has
the last word.

The ledger is a merge of facts: folding journals in any order, or one twice, gives the same ledger.
Source: research on comparable controllers, guard table, G12.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.autonomy import Grant
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import GuardPolicy
from homeostat.base.units import TimeNs
from homeostat.stats.exact import upper_bound

HARM_MAX: Final = 0.05
"""The probability of harm must be shown to be below this; with no harm that takes 59 actions."""
# The fewest without harm whose exact one-sided 95 % upper bound, 1 - 0.05 ** (1 / n), is below it.
NEEDED: Final = 59
KEPT: Final = 300
"""Actions remembered of a kind: more than are needed, so that people see the bound fall."""
_GOOD: Final = frozenset({ActionState.SUCCEEDED})
_HARM: Final = frozenset({ActionState.ROLLED_BACK, ActionState.STUCK})


@dataclass(frozen=True, slots=True, order=True)
class Deed:
    """One finished action, in the order in which actions finished.

    Attributes:
        at: When it ended.
        deployment: Where.
        id: Its id there.
    """

    at: TimeNs
    deployment: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of one kind of action over the fleet.

    Attributes:
        harm: Its last harm, None if it never did any.
        good: Actions verified to help after that, oldest first, the newest `KEPT`.
    """

    harm: Deed | None = None
    good: tuple[Deed, ...] = ()

    @property
    def bound(self) -> float:
        """Return the upper bound of the probability of harm since the last harm; 1 for no data."""
        return upper_bound(0, len(self.good)) if self.good else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All that decides about autonomy.

    Attributes:
        records: By kind.
        grants: The latest word of a person, by deployment and kind.
    """

    records: tuple[tuple[ActionKind, Record], ...] = ()
    grants: tuple[Grant, ...] = ()

    def of(self, kind: ActionKind) -> Record:
        """Return what is known of a kind."""
        return dict(self.records).get(kind, Record())

    def grant(self, deployment: str, kind: ActionKind) -> Grant | None:
        """Return a person's latest word about a kind on a deployment."""
        named = (g for g in self.grants if (g.deployment, g.kind) == (deployment, kind))
        return next(named, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one kind stands on one deployment.

    Attributes:
        kind: The kind.
        auto: Whether it runs unasked in mode auto.
        because: By whose word, or what is missing.
        harmless: Actions verified to help since the last harm, over the fleet.
        bound: Upper bound of the probability of harm, one-sided 95 %.
        harm: The last harm, None if there was none.
    """

    kind: ActionKind
    auto: bool
    because: str
    harmless: int
    bound: float
    harm: Deed | None


def merge(one: Ledger, other: Ledger) -> Ledger:
    """Return what both know."""
    kinds = sorted({kind for kind, _ in (*one.records, *other.records)})
    return Ledger(
        records=tuple((kind, _merged(one.of(kind), other.of(kind))) for kind in kinds),
        grants=_latest((*one.grants, *other.grants)),
    )


def counted(ledger: Ledger, record: ActionRecord) -> Ledger:
    """Return the ledger with one more version of an action.

    Help counts at its end; harm counts as soon as it is found, whatever the end. An undo of a
    person's is no evidence about the kind that it takes back; one of the watch's is: what it takes
    back was found to do harm. An action that ended unproven, was refused or met a foreign write,
    and was not found to do harm, neither helps nor harms.
    """
    ended = not record.undoes and not record.blameless
    harm = record.harmed or (ended and record.state in _HARM)
    if not harm and not (ended and record.state in _GOOD):
        return ledger
    deed = Deed(record.state_since, record.deployment, record.undoes or record.id)
    found = Record(harm=deed) if harm else Record(good=(deed,))
    return merge(ledger, Ledger(records=((record.action.kind, found),)))


def granted(ledger: Ledger, grant: Grant) -> Ledger:
    """Return the ledger with one more word of a person."""
    return replace(ledger, grants=_latest((*ledger.grants, grant)))


def standing(ledger: Ledger, kind: ActionKind, policy: GuardPolicy, deployment: str) -> Standing:
    """Return how a kind stands on a deployment under its policy."""
    book = ledger.of(kind)
    auto, because = _why(ledger, kind, policy, deployment)
    return Standing(
        kind=kind,
        auto=auto,
        because=because,
        harmless=len(book.good),
        bound=book.bound,
        harm=book.harm,
    )


def nameable(policy: GuardPolicy) -> tuple[ActionKind, ...]:
    """Return the kinds that the policy lets run unasked at most, whatever is learned or granted."""
    if not policy.granted_by.strip():
        return ()
    return tuple(sorted({*policy.auto_kinds, *policy.earn_kinds}))


def effective(ledger: Ledger, policy: GuardPolicy, deployment: str) -> tuple[ActionKind, ...]:
    """Return the kinds that run unasked on a deployment in mode auto."""
    return tuple(
        kind for kind in nameable(policy) if standing(ledger, kind, policy, deployment).auto
    )


def _why(
    ledger: Ledger, kind: ActionKind, policy: GuardPolicy, deployment: str
) -> tuple[bool, str]:
    if kind not in nameable(policy):
        return False, "the policy names it neither under auto nor under earn"
    book, word = ledger.of(kind), ledger.grant(deployment, kind)
    harm = book.harm if policy.lost_on_harm else None
    if word is not None and not word.given:
        return False, f"taken back by {word.by}{_said(word)}"
    if word is not None and (harm is None or word.at > harm.at):
        return True, f"granted by {word.by}{_said(word)}"
    if kind in policy.auto_kinds and harm is None:
        return True, f"granted by {policy.granted_by.strip()} in the policy"
    if kind in policy.earn_kinds and book.bound < HARM_MAX:
        return True, f"earned: {len(book.good)} verified to help, harm below {book.bound:.1%}"
    if harm is not None:
        lost = f"lost: {harm.id} of {harm.deployment} did harm"
        return False, f"{lost}; {len(book.good)} of {NEEDED} verified to help since then"
    return False, f"{len(book.good)} of {NEEDED} verified to help"


def _said(word: Grant) -> str:
    return f": {word.why}" if word.why else ""


def _merged(one: Record, other: Record) -> Record:
    harms = [found.harm for found in (one, other) if found.harm is not None]
    harm = max(harms, default=None)
    good = sorted({*one.good, *other.good})
    since = [deed for deed in good if harm is None or deed.at > harm.at]
    return Record(harm=harm, good=tuple(since[-KEPT:]))


def _latest(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Keep the last word by deployment and kind; of two at one moment the one that takes back."""
    kept: dict[tuple[str, ActionKind], Grant] = {}
    for grant in sorted(grants, key=lambda g: (g.at, not g.given, g.by, g.why, g.origin)):
        kept[grant.deployment, grant.kind] = grant
    return tuple(kept[key] for key in sorted(kept))
