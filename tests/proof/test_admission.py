import random

import cel
import pytest

from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.proof.admission import admission_policy, validations
from homeostat.proof.spelling import spell
from homeostat.safety.change import Bounds, bounds, change_of
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g

LIMIT = LeverLimit(lever="replicas.", low=3, high=40, step_up=0.5, step_down=0.25)
POLICY = GuardPolicy(limits=(LIMIT,))
TEXTS = [spell(expr, cel=True) for expr, _ in validations(POLICY, LIMIT)]


def admitted(before: int, after: int) -> bool:
    facts = {"variables": {"before": before, "after": after}}
    return all(cel.evaluate(text, facts) for text in TEXTS)


def judged(before: int, after: int) -> Bounds:
    state = g.with_levers(g.scene(3, policy=POLICY), replicas__a=before)
    sight = look(state, g.NOW)
    return bounds(change_of(g.scale(after), sight, undo=False), sight)


def permitted(before: int, after: int) -> bool:
    found = judged(before, after)
    return found.excess_milli == 0 and found.step_milli == 0


@pytest.mark.slow
def test_whatever_the_guards_permit_is_admitted_and_so_is_its_undo() -> None:
    rng, seen = random.Random(1), 0
    for _ in range(500):
        before = rng.randrange(1, 60)
        after = max(1, before + rng.randrange(-12, 13))
        if permitted(before, after):
            seen += 1
            assert admitted(before, after), (before, after)
            inside = LIMIT.low <= before <= LIMIT.high
            assert admitted(after, before) or not inside, (before, after)
    assert seen > 100


@pytest.mark.slow
def test_what_no_guard_and_no_undo_explains_is_not_admitted() -> None:
    rng, refused = random.Random(2), 0
    for _ in range(500):
        before, after = rng.randrange(1, 60), rng.randrange(1, 60)
        if not admitted(before, after):
            refused += 1
            assert not permitted(before, after), (before, after)
    assert refused > 100


@pytest.mark.parametrize(
    ("before", "after"), [(10, 2), (10, 41), (40, 41), (10, 16), (12, 7), (3, 0), (50, 51)]
)
def test_a_jump_or_a_way_out_is_refused(before: int, after: int) -> None:
    assert not admitted(before, after)


def test_the_export_names_the_controller_alone_and_fails_closed() -> None:
    policy, binding = admission_policy("p", POLICY, "system:serviceaccount:ops:homeostat")
    spec = policy["spec"]
    assert (policy["kind"], spec["failurePolicy"]) == ("ValidatingAdmissionPolicy", "Fail")
    assert '"system:serviceaccount:ops:homeostat"' in spec["matchConditions"][0]["expression"]
    assert [one["expression"] for one in spec["validations"]] == TEXTS
    assert binding["spec"] == {"policyName": "homeostat-p", "validationActions": ["Deny", "Audit"]}


def test_a_policy_without_replicas_has_nothing_to_export() -> None:
    with pytest.raises(ValueError, match="nothing stateless"):
        admission_policy("p", GuardPolicy(), "x")
