"""Promises about money, error budgets and what deployments share, one action at a time."""

from collections.abc import Iterator
from typing import Final

import z3

from homeostat.base.actions import ActionKind
from homeostat.proof.claim import Case, Claim
from homeostat.proof.claims import one, undone
from homeostat.proof.moment import KINDS, Moment, Setting
from homeostat.proof.smt import Term, is_false

_K = ActionKind


def _costs(now: Moment) -> Term:
    """Return that it costs more than before, or nobody knows."""
    change = now.cells["spend_change_milli"]
    return z3.Or(z3.Not(change.known), change.value > 0)


def _bill(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        over = now.cells["bill_over_milli"]
        missed = z3.Or(z3.Not(over.known), over.value > 0)
        terms = (now.alone, z3.Not(undone(now)), now.truth("billed"), missed, _costs(now))
        yield Case(moments=(now,), terms=(*terms, now.truth("priced")), answer="runs")


def _unpriced(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        budget = z3.Or(now.truth("budgeted"), now.truth("billed"))
        terms = (now.alone, z3.Not(undone(now)), budget, z3.Not(now.truth("priced")), _costs(now))
        yield Case(moments=(now,), terms=terms, answer="runs")


def _burning(setting: Setting) -> Iterator[Case]:
    for kind in (_K.SCALE_DOWN, _K.RESIZE_DOWN, _K.SHIFT_TRAFFIC, _K.RETRAIN):
        now = one(setting, kind)
        doubtful = z3.Not(is_false(now.cells["burning"]))
        tried = z3.Not(is_false(now.cells["to_new"])) if kind is _K.SHIFT_TRAFFIC else True
        terms = (now.with_a_yes, z3.Not(undone(now)), doubtful, z3.And(tried))
        yield Case(moments=(now,), terms=terms)


def _sharing(setting: Setting) -> Iterator[Case]:
    for kind in KINDS:
        now = one(setting, kind)
        yield Case(
            moments=(now,),
            terms=(now.with_a_yes, z3.Not(undone(now)), now.number("sharing") > 0),
        )


ACCOUNTS: Final[tuple[Claim, ...]] = (
    Claim(name="bill", promise="By itself it does nothing that costs more and would carry the "
          "day's or the month's bill over its budget.", cases=_bill,
          outage="A night of traffic from a broken client is scaled for, and the month is spent."),
    Claim(name="priced", promise="With a budget nothing runs unasked whose cost nobody knows.",
          cases=_unpriced),
    Claim(name="error-budget", promise="Capacity is not taken away, nor a new version tried, while "
          "an error budget burns fast or that is not known.", cases=_burning,
          outage="Users are losing answers by the minute, and a replica is saved."),
    Claim(name="sharing", promise="Of deployments that share a node pool or a dependency never two "
          "change at once.", cases=_sharing,
          outage="Two deployments restart on one node pool, and neither finds room."),
)  # fmt: skip
