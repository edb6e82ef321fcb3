"""The guard's hot path: the rules alone, one action, and a safe set of eight candidates."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.base.actions import ActionKind
from homeostat.base.guard import Allow
from homeostat.safety.facts import facts
from homeostat.safety.guard import compile_rules, guard
from homeostat.safety.permit import permit
from homeostat.safety.rule import EXEMPTIONS
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.safety.tree import Or, evaluate
from homeostat.testing import guard_scene as g

ACTION = g.scale(5)
SPEAKING = [rule for rule in RULES if ActionKind.SCALE_UP in rule.kinds]
FIFTEEN = SPEAKING[:15]


def test_fifteen_rules_as_closures(benchmark: BenchmarkFixture) -> None:
    kernel = compile_rules(FIFTEEN)
    record = facts(ACTION, look(g.scene(), g.NOW))
    benchmark.group = "15 rules, one action"
    assert benchmark(kernel.judge, record) == ((), ())


def test_fifteen_rules_as_trees(benchmark: BenchmarkFixture) -> None:
    trees = [Or((rule.require, *(EXEMPTIONS[name] for name in rule.exempt))) for rule in FIFTEEN]
    record = facts(ACTION, look(g.scene(), g.NOW))
    benchmark.group = "15 rules, one action"
    assert benchmark(lambda: all(evaluate(tree, record) for tree in trees))


@pytest.mark.parametrize("size", [3, 100])
def test_one_action(benchmark: BenchmarkFixture, size: int) -> None:
    state, action = g.scene(size), g.scale(size + 2)
    benchmark.group = "guard, one action"
    assert benchmark(guard, action, state, g.NOW) == Allow()


def test_a_safe_set_of_eight(benchmark: BenchmarkFixture) -> None:
    state = g.bad_release(g.scene())
    wanted = (
        g.rollback(),
        g.restart("a-1"),
        g.drain("a-1"),
        g.scale(4),
        g.scale(2, ActionKind.SCALE_DOWN),
        g.act(ActionKind.BATCH_UP, "pool:a", batch_max=16),
        g.act(ActionKind.SHED_LOAD, "gateway", gateway_limit=100),
        g.act(ActionKind.SHIFT_TRAFFIC, "pool:b", weight__b=25.0),
    )
    benchmark.group = "permit, 8 candidates"
    assert len(benchmark(permit, wanted, state, g.NOW).allowed) > 1
