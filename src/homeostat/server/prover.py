"""The prover over the real guards: what the policies of some files promise, and whether it holds.

Needs the solver (`homeostat[proof]`); nothing here runs in the controller's loop.
"""

from collections.abc import Iterator
from typing import Final

from homeostat.base.units import MILLISECOND
from homeostat.proof.diff import barred_kinds, idle_rules
from homeostat.proof.moment import Setting
from homeostat.proof.never import Property, claim_of
from homeostat.proof.parse import parse
from homeostat.proof.verify import Prover, Result
from homeostat.safety.added import added_rules
from homeostat.safety.fields import TYPES
from homeostat.safety.guard import guard
from homeostat.safety.rules import RULES
from homeostat.server.proving import Subject

TIMEOUT_MS: Final = 30_000  # for one answer, by the wall; the longest takes a second of processor


def setting(subject: Subject) -> Setting:
    """Return a subject as the prover takes it."""
    return Setting(
        policy=subject.policy,
        scrape_ns=subject.scrape_ns,
        price_milli=subject.price_milli,
        dearest_milli=subject.dearest_milli,
        rules=(*RULES, *added_rules(subject.policy.rules)),
        asked=tuple(parse(one.when, TYPES) for one in subject.rails.never or ()),
    )


def prove(subject: Subject, timeout_ms: int = TIMEOUT_MS) -> Iterator[Result]:
    """Yield the verdict on each promise of the pack and each property of the policy's own."""
    more = [
        claim_of(
            Property(
                name=one.name,
                text=one.when,
                when=parse(one.when, TYPES),
                kinds=one.kinds,
                times=one.times,
                within_ms=(one.within or 0) // MILLISECOND,
            )
        )
        for one in subject.rails.never or ()
    ]
    yield from Prover(guard=guard, timeout_ms=timeout_ms).pack(setting(subject), more)


def findings(subject: Subject, timeout_ms: int = TIMEOUT_MS) -> tuple[str, ...]:
    """Return what is odd about a policy's own rules: idle ones, and kinds that never pass."""
    added = added_rules(subject.policy.rules)
    if not added:
        return ()
    made = setting(subject)
    own = made.rules[len(RULES) :]
    idle = [
        f"rule {name!r} forbids nothing that the others allow; drop it or mend it"
        for name in idle_rules(made, own, timeout_ms)
    ]
    barred = [
        f"the rules together never let {kind} through; if that is meant, say so in its name"
        for kind in barred_kinds(made, RULES, timeout_ms)
    ]
    return (*idle, *barred)
