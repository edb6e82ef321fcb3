"""Promises about capacity, one action at a time: what stays serves, whichever lever takes it.

What there was within the half hour is remembered at each action (`safety.fields`: `peak`,
`room_kept_milli`), so what holds of one action holds of every chain of them.
"""

from collections.abc import Iterator
from typing import Final

import z3

from homeostat.base.actions import ActionKind
from homeostat.base.policy import LeverLimit
from homeostat.proof.claim import Case, Claim
from homeostat.proof.claims import exempt, lever_cases, one, undone
from homeostat.proof.moment import Setting
from homeostat.proof.smt import Term
from homeostat.safety.rule import SERVED

K = ActionKind
_WHOLE: Final = 1000  # a share is in thousandths


def _room(setting: Setting) -> Iterator[Case]:
    kinds = (K.SCALE_DOWN, K.RESIZE_DOWN, K.DRAIN_REPLICA)
    asked: list[tuple[ActionKind, LeverLimit | None]] = [(kind, None) for kind in kinds]
    # Of a lever whose bounds are known a counterexample can be built as well.
    asked += [(kind, limit) for kind, limit in lever_cases(setting) if kind is K.RESIZE_DOWN]
    for kind, limit in asked:
        now = one(setting, kind, limit)
        share, taken = now.cells["room_kept_milli"], now.cells["taken"]
        takes = z3.Or(z3.Not(taken.known), taken.value > 0, kind is not K.DRAIN_REPLICA)
        less = z3.Not(z3.And(share.known, 2 * share.value >= _WHOLE))
        terms = (now.with_a_yes, z3.Not(undone(now)), takes, less)
        yield Case(moments=(now,), terms=terms, drawn=(now.wanted < now.live,))


def _late(setting: Setting) -> Iterator[Case]:
    """A way back from what ended before takes half of the replicas, or more than is to spare."""
    for kind, limit in lever_cases(setting):
        if kind not in {K.SCALE_UP, K.RESIZE_UP}:
            continue
        now = one(setting, kind, limit)
        taken, left = now.cells["taken"], now.cells["left_in_pool"]
        used, most = now.cells["util_after_milli"], now.cells["util_max_milli"]
        kept = z3.And(used.known, most.known, used.value <= most.value)
        drawn: tuple[Term, ...] = ()
        takes = z3.BoolVal(val=True)
        if kind is K.SCALE_UP:
            takes = z3.Or(z3.Not(taken.known), taken.value > 0)
            half = 2 * left.value >= now.cells["peak"].value
            kept = z3.And(kept, left.known, half)
            drawn = (now.cells["peak"].value == now.live / 1000,)
        terms = (now.with_a_yes, now.truth("late"), takes, z3.Not(kept))
        yield Case(moments=(now,), terms=terms, drawn=drawn)


def _smaller(setting: Setting) -> Iterator[Case]:
    """A batch is made smaller, unasked, where half of it could be too little."""
    for kind, limit in ((K.BATCH_DOWN, None), *lever_cases(setting)):
        if kind is not K.BATCH_DOWN:
            continue
        now = one(setting, kind, limit)
        used, most = now.cells["util_after_milli"], now.cells["util_max_milli"]
        kept = z3.And(used.known, most.known, used.value <= most.value)
        holds = z3.Or(kept, now.truth("serves_more"), undone(now))
        yield Case(moments=(now,), terms=(now.alone, z3.Not(holds)), answer="runs")


def _turned_away(setting: Setting) -> Iterator[Case]:
    """Somebody is turned away, unasked, while the objectives are met or nobody knows."""
    for kind, limit in ((K.SHED_LOAD, None), *lever_cases(setting)):
        if kind is not K.SHED_LOAD:
            continue
        now = one(setting, kind, limit)
        met = now.cells["slo_met"]
        needed = z3.And(met.known, z3.Not(met.value))
        fine = z3.Or(needed, now.truth("lets_in"), undone(now))
        yield Case(moments=(now,), terms=(now.alone, z3.Not(fine)), answer="runs")


def _larger(setting: Setting) -> Iterator[Case]:
    """A batch grows, unasked, in other trouble or beyond memory, or where nobody knows."""
    for kind, limit in ((K.BATCH_UP, None), *lever_cases(setting)):
        if kind is not K.BATCH_UP:
            continue
        now = one(setting, kind, limit)
        none = [
            z3.And(cell.known, cell.value == 0)
            for cell in (now.cells["ailing"], now.cells["overfull"])
        ]
        fine = z3.Or(z3.And(*none), undone(now))
        yield Case(moments=(now,), terms=(now.alone, z3.Not(fine)), answer="runs")


def _target(setting: Setting) -> Iterator[Case]:
    """Traffic goes, unasked, where nobody saw it served well; or, asked, to what is not idle."""
    # A weight without declared bounds is denied whatever is seen (G2 bounds).
    for kind, limit in lever_cases(setting):
        if kind is not K.SHIFT_TRAFFIC:
            continue
        now = one(setting, kind, limit)
        well = z3.Or(now.truth("growing_clean"), undone(now))
        yield Case(moments=(now,), terms=(now.alone, z3.Not(well)), answer="runs")
        now = one(setting, kind, limit)
        seen = z3.Or(now.truth("growing_seen"), undone(now))
        yield Case(moments=(now,), terms=(now.with_a_yes, z3.Not(seen)))


def _first(setting: Setting) -> Iterator[Case]:
    """A setting goes to all replicas, where some could have had it first or nobody knows."""
    kinds = (K.BATCH_UP, K.BATCH_DOWN, K.RESIZE_UP, K.RESIZE_DOWN)
    asked: list[tuple[ActionKind, LeverLimit | None]] = [(kind, None) for kind in kinds]
    asked += [(kind, limit) for kind, limit in lever_cases(setting) if kind in kinds]
    for kind, limit in asked:
        now = one(setting, kind, limit)
        fine = z3.Or(now.truth("one_first"), exempt(setting, now, *SERVED))
        yield Case(moments=(now,), terms=(now.with_a_yes, z3.Not(fine)))


ROOM: Final[tuple[Claim, ...]] = (
    Claim(name="room", promise="Scaling in, draining and fewer requests in flight together leave "
          "half of the most requests at once that there was room for within 30 minutes.",
          cases=_room,
          outage="A quarter of the replicas goes and a quarter of what each takes, twice: a third "
          "is left."),
    Claim(name="late-undo", promise="Taking back growth that ended before leaves half of the most "
          "replicas within 30 minutes, and utilisation within its bound.", cases=_late,
          outage="A scale-up of Monday is taken back on Wednesday, when its replicas are needed."),
    Claim(name="smaller-batch", promise="By itself it makes no batch smaller where, at worst, too "
          "little could be served by it.", cases=_smaller,
          outage="Batches of 8 become 4, 2 and 1 within ten minutes, and a quarter is served."),
    Claim(name="larger-batch", promise="By itself it makes no batch larger while anything but load "
          "is suspected, where a device's memory would not hold it, or while nobody knows.",
          cases=_larger,
          outage="A device is shared with a neighbour, and everybody waits for a batch of 64."),
    Claim(name="one-first", promise="Where some replicas can have a batch or a size first, or "
          "that is not known, all get it only on a certificate or an explicit word; ways back are "
          "free.", cases=_first,
          outage="A batch that serves half of the users too late is on every replica at once."),
    Claim(name="where-traffic-goes", promise="By itself it sends traffic only to a pool that is "
          "seen to serve well; with a yes also to one that stands by, and to no other.",
          cases=_target, outage="The pool that fails is left for one that nobody looked at."),
    Claim(name="turning-away", promise="By itself it turns nobody away while the objectives are "
          "met, or while nobody knows.", cases=_turned_away,
          outage="A tenth of the users is refused, hour after hour, by a service that is well."),
)  # fmt: skip
