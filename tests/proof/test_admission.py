import random
from typing import Any

import cel
import pytest

from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.proof.admission import Target, admission_policy, validations
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


TWO = GuardPolicy(
    limits=(
        LeverLimit(lever="replicas.", low=1, high=5),
        LeverLimit(lever="replicas.b", low=1, high=60, step_up=1.0),
    )
)


def judges(document: dict[str, Any], namespace: str, name: str) -> bool:
    """Return whether a policy speaks about an update of that object by its account."""
    request = {"userInfo": {"username": "me"}, "namespace": namespace, "name": name}
    return all(
        cel.evaluate(one["expression"], {"request": request})
        for one in document["spec"]["matchConditions"]
    )


def allows(document: dict[str, Any], before: int, after: int) -> bool:
    facts = {"oldObject": {"spec": {"replicas": before}}, "object": {"spec": {"replicas": after}}}
    names = {
        one["name"]: cel.evaluate(one["expression"], facts) for one in document["spec"]["variables"]
    }
    return all(
        cel.evaluate(one["expression"], {"variables": names})
        for one in document["spec"]["validations"]
    )


def test_two_deployments_are_judged_each_by_the_bounds_of_its_own_pool() -> None:
    shop = Target(pool="a", namespace="shop", name="recommender")
    batch = Target(pool="b", namespace="batch", name="scorer")
    small, _, wide, _ = admission_policy("p", TWO, "me", (shop, batch))
    seen = [
        [judges(one, *where) for where in (("shop", "recommender"), ("batch", "scorer"))]
        for one in (small, wide)
    ]
    assert seen == [[True, False], [False, True]]
    assert not judges(small, "batch", "recommender")
    assert not allows(small, 4, 8)
    assert allows(wide, 4, 8)
    assert small["metadata"]["name"] != wide["metadata"]["name"]


def test_bounds_of_several_pools_are_not_exported_for_everything() -> None:
    with pytest.raises(ValueError, match=r"replicas\., replicas\.b.*--target"):
        admission_policy("p", TWO, "me")


def test_a_pool_without_bounds_is_named() -> None:
    only = GuardPolicy(limits=(LeverLimit(lever="replicas.b", low=1, high=60),))
    with pytest.raises(ValueError, match=r"pool 'a'.*replicas\.b"):
        admission_policy("p", only, "me", (Target(pool="a", namespace="shop", name="x"),))


def test_an_autoscalers_least_replicas_are_judged_in_place_of_replicas() -> None:
    scaler = Target(pool="b", namespace="batch", name="scorer", resource="hpa")
    policy, _ = admission_policy("p", TWO, "me", (scaler,))
    rule = policy["spec"]["matchConstraints"]["resourceRules"][0]
    assert rule["resources"] == ["horizontalpodautoscalers"]
    before = policy["spec"]["variables"][0]["expression"]
    facts = [{"minReplicas": 7}, {}]
    found = [cel.evaluate(before, {"oldObject": {"spec": spec}}) for spec in facts]
    assert found == [7, 1]


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("shop", 'x" || true || "'), ("Shop", "x"), ("", "x"), ("shop", "x/y"), ("a.b", "x"),
     ("shop", "x" * 300)],
)  # fmt: skip
def test_what_is_no_name_never_gets_into_an_expression(namespace: str, name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        Target(pool="a", namespace=namespace, name=name)
