"""The stateless part of a policy as a Kubernetes ValidatingAdmissionPolicy.

A second guard that holds even if the controller is compromised: it sees only the old and the new
object, so it knows bounds, the floor and the size of a step. It cannot tell an undo from a step of
its own; a step is therefore let through if it, or the step that it would take back, is within the
policy's. Whatever the guards permit passes; the opposite is not promised.
Source: Kubernetes, admissionregistration.k8s.io/v1, ValidatingAdmissionPolicy.
"""

import json
from typing import Any

from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.proof.spelling import spell
from homeostat.safety.tree import And, Compare, Const, Expr, Max, Or, Ref, Scale, Sub

BEFORE, AFTER = Ref("variables.before"), Ref("variables.after")
_NAME = "homeostat-{name}"


def admission_policy(name: str, policy: GuardPolicy, account: str) -> list[dict[str, Any]]:
    """Return the policy and its binding, as Kubernetes reads them.

    Args:
        name: The policy's name; a DNS label.
        policy: The guards' settings; the limits of `replicas` speak.
        account: The controller's user name in the cluster; nobody else is judged.

    Raises:
        ValueError: The policy bounds no replicas, so that there is nothing to export.
    """
    limit = next((one for one in policy.limits if one.lever.startswith("replicas.")), None)
    if limit is None:
        raise ValueError(f"policy {name} bounds no replicas; there is nothing stateless to export")
    called = _NAME.format(name=name)
    body = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [_rule()]},
        "matchConditions": [
            {
                "name": "by-homeostat",
                "expression": f"request.userInfo.username == {json.dumps(account)}",
            }
        ],
        "variables": [
            {"name": "before", "expression": "oldObject.spec.replicas"},
            {"name": "after", "expression": "object.spec.replicas"},
        ],
        "validations": [
            {"expression": spell(expr, cel=True), "message": message, "reason": "Forbidden"}
            for expr, message in validations(policy, limit)
        ],
    }
    api = "admissionregistration.k8s.io/v1"
    binding = {"policyName": called, "validationActions": ["Deny", "Audit"]}
    return [
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": called},
         "spec": body},
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding",
         "metadata": {"name": called}, "spec": binding},
    ]  # fmt: skip


def _rule() -> dict[str, list[str]]:
    return {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments", "deployments/scale"],
    }


def validations(policy: GuardPolicy, limit: LeverLimit) -> list[tuple[Expr, str]]:
    """Return the conditions and what is said where one is false.

    Args:
        policy: The guards' settings.
        limit: Bounds and steps of the replicas.
    """
    low, high = round(limit.low), round(limit.high)
    bounds = Or((
        And((Compare(">=", AFTER, Const(low)), Compare("<=", AFTER, Const(high)))),
        And((Compare("<", AFTER, Const(low)), Compare(">", AFTER, BEFORE))),
        And((Compare(">", AFTER, Const(high)), Compare("<", AFTER, BEFORE))),
    ))
    least = policy.min_replicas
    floor = Or((Compare(">=", AFTER, BEFORE), Compare(">=", AFTER, Const(min(least, low) or 1))))
    up, down = round(limit.step_up * 1000), round(limit.step_down * 1000)
    step = Or((
        Compare("==", AFTER, BEFORE),
        And((Compare(">", AFTER, BEFORE), _within(BEFORE, AFTER, up))),
        And((Compare(">", AFTER, BEFORE), _within(AFTER, BEFORE, down))),
        And((Compare("<", AFTER, BEFORE), _within(BEFORE, AFTER, down))),
        And((Compare("<", AFTER, BEFORE), _within(AFTER, BEFORE, up))),
        Compare("==", Sub(AFTER, BEFORE), Const(1)),
    ))
    return [
        (bounds, f"replicas stay within {low} and {high}, or move towards it"),
        (floor, "the last replicas are not taken away"),
        (step, f"at most {limit.step_up:.0%} more or {limit.step_down:.0%} fewer, or back"),
    ]


def _within(start: Ref, end: Ref, share_milli: int) -> Expr:
    """Return that a step is at most a share of where it starts, or one replica."""
    way = Max((Sub(end, start), Sub(start, end)))
    return Compare("<=", Scale(1000, way), Max((Const(1000), Scale(share_milli, start))))
