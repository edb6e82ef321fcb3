"""Branches of the guards that no ordinary action or state reaches."""

import math
from dataclasses import replace

import numpy as np
import pytest

from homeostat.base.actions import ActionKind
from homeostat.base.guard import Deny
from homeostat.safety.capacity import shares
from homeostat.safety.change import bounds, change_of
from homeostat.safety.facts import facts
from homeostat.safety.guard import compile_rules, guard
from homeostat.safety.rule import Rule
from homeostat.safety.sight import look, milli
from homeostat.safety.tree import Compare, Const, Ref
from homeostat.testing import guard_lately
from homeostat.testing import guard_scene as g

BATCH = g.act(ActionKind.BATCH_UP, "pool:a", batch_max=16, batch_wait_ms=3)


def test_a_number_of_numpys_is_a_number() -> None:
    assert milli(np.float64(0.25)) == 250
    assert milli(np.float64("nan")) is None


def test_the_stable_pools_own_weight_is_believed_where_it_is_written() -> None:
    sight = look(g.scene(), g.NOW)
    assert shares(sight) == {"a": 95_000, "b": 5_000}
    assert shares(sight, (("weight.a", 60.0), ("weight.b", 30.0))) == {"a": 60_000, "b": 30_000}


def test_an_unknown_bound_or_step_is_not_hidden_by_a_known_one() -> None:
    sight = look(g.scene(), g.NOW)
    for size, wait in ((math.nan, 4), (9, math.nan)):
        odd = g.act(ActionKind.BATCH_UP, "pool:a", batch_max=size, batch_wait_ms=wait)
        found = bounds(change_of(odd, sight, undo=False), sight)
        assert found.excess_milli is None
        assert found.step_milli is None


def test_a_message_that_names_no_fact_denies() -> None:
    never = Compare("==", Ref("kind"), Const("none"))
    rule = Rule(id="G99", name="test", source="here", require=never, message="{nothing}")
    with pytest.raises(KeyError):
        compile_rules([rule]).judge(facts(BATCH, look(g.scene(), g.NOW)))


def test_a_comparison_counts_for_nothing_where_no_freshness_is_stated() -> None:
    policy = replace(g.POLICY, fresh_scrapes=math.nan)
    state = replace(guard_lately.slower(g.scene()), managed=g.managed(policy=policy))
    assert facts(g.restart("a-1"), look(state, g.NOW))["beside_ms"] == 0
    assert isinstance(guard(g.restart("a-1"), state, g.NOW), Deny)
