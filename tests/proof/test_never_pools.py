"""A policy's own properties, of every pool and every lever that its kinds may move."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.base.units import SECOND
from homeostat.proof.moment import Setting
from homeostat.proof.never import Property, claim_of
from homeostat.proof.verify import Prover, Result
from homeostat.safety.guard import guard
from homeostat.safety.rule import compare
from homeostat.safety.rules import RULES
from homeostat.testing.guard_scene import PATIENT_MS, POLICY

K = ActionKind
TIGHT = LeverLimit(lever="replicas.", low=2, high=6, step_up=1.0, step_down=0.25)
LOOSE = replace(TIGHT, lever="replicas.b", low=1, high=60)
MANY = Property(name="many", text="added > 3", when=compare("added", ">", 3), kinds=(K.SCALE_UP,))


def asked(policy: GuardPolicy, wanted: Property) -> Result:
    setting = Setting(
        policy=policy, scrape_ns=15 * SECOND, price_milli=1000, rules=RULES, asked=(wanted.when,)
    )
    return Prover(timeout_ms=PATIENT_MS, guard=guard).claim(setting, claim_of(wanted))


def limits(*own: LeverLimit) -> GuardPolicy:
    given = {one.lever for one in own} | {"replicas."}
    kept = tuple(one for one in POLICY.limits if one.lever not in given)
    return replace(POLICY, limits=(*own, *kept), budget_usd_per_hour=None)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(TIGHT, LOOSE), (LOOSE, TIGHT)], ids=["after", "before"])
def test_what_the_looser_pool_may_do_refutes_a_property(order: tuple[LeverLimit, ...]) -> None:
    assert asked(limits(TIGHT), MANY).verdict == "proved"  # from 3 to 6 is the most there
    result = asked(limits(*order), MANY)
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert result.counterexample[0].subject == "pool:b"


@pytest.mark.slow
def test_bounds_of_all_pools_are_broken_by_one_without_its_own() -> None:
    own = replace(TIGHT, lever="replicas.a")
    result = asked(limits(replace(LOOSE, lever="replicas."), own), MANY)
    assert (result.verdict, result.replayed) == ("refuted", True)
    assert result.counterexample[0].subject not in {"pool:a", "pool:b"}


@pytest.mark.slow
def test_in_a_chain_too_the_looser_pool_counts() -> None:
    twice = replace(MANY, times=2, within_ms=7_200_000)
    assert asked(limits(TIGHT), twice).verdict == "proved"
    result = asked(limits(TIGHT, LOOSE), twice)
    assert result.verdict == "refuted"
    assert len(result.counterexample) == 2


@pytest.mark.slow
def test_every_lever_of_a_kind_is_looked_at() -> None:
    """A batch may wait longer, or be larger: what is true of the one need not be of the other."""
    size = LeverLimit(lever=names.BATCH_MAX, low=1, high=2, step_up=1.0, step_down=0.5)
    wait = LeverLimit(lever=names.BATCH_WAIT, low=0, high=50, step_up=1.0, step_down=0.5)
    setting = Setting(
        policy=limits(TIGHT, size, wait), scrape_ns=SECOND, price_milli=1, rules=RULES
    )
    cases = list(claim_of(replace(MANY, kinds=(K.BATCH_UP,))).cases(setting))
    watched = [one.limit for case in cases for one in case.moments]
    assert watched == [size, wait]
