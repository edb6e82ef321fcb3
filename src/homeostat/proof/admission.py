"""The stateless part of a policy as a Kubernetes ValidatingAdmissionPolicy.

A second guard that holds even if the controller is compromised: it sees only the old and the new
object, so it knows bounds, the floor and the size of a step. It cannot tell an undo from a step of
its own; a step is therefore let through if it, or the step that it would take back, is within the
policy's. Whatever the guards permit passes; the opposite is not promised.
Source: Kubernetes, admissionregistration.k8s.io/v1, ValidatingAdmissionPolicy.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.proof.spelling import spell
from homeostat.safety.tree import And, Compare, Const, Expr, Max, Or, Ref, Scale, Sub

BEFORE, AFTER = Ref("variables.before"), Ref("variables.after")
Resource = Literal["deployment", "hpa"]
_NAME: Final = "homeostat-{name}"
_REPLICAS: Final = "replicas."
# A label of RFC 1123, as names of namespaces, Deployments and autoscalers are checked; those of
# the last two may have several, with dots between.
_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SPACE: Final = re.compile(_LABEL)
_OBJECT: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST: Final = 253  # characters of an object's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object in the cluster that a pool's replicas are changed by.

    Attributes:
        pool: The pool whose bounds hold for it.
        namespace: Where it is.
        name: Its name.
        resource: A Deployment (its replicas), or an autoscaler (its least replicas).

    Raises:
        ValueError: A name is none that Kubernetes gives to such an object.
    """

    pool: str
    namespace: str
    name: str
    resource: Resource = "deployment"

    def __post_init__(self) -> None:
        """Refuse what could not be a name: it goes into an expression that is run.

        Raises:
            ValueError: A name is none that Kubernetes gives to such an object.
        """
        named = ((self.namespace, _SPACE, "namespace"), (self.name, _OBJECT, self.resource))
        for text, shape, what in named:
            if len(text) > _LONGEST or not shape.fullmatch(text):
                raise ValueError(
                    f"{text!r} is no name of a {what}; write lower-case letters, digits and dashes"
                )


def admission_policy(
    name: str, policy: GuardPolicy, account: str, targets: Sequence[Target] = ()
) -> list[dict[str, Any]]:
    """Return policies and their bindings, as Kubernetes reads them.

    Args:
        name: The policy's name; a DNS label.
        policy: The guards' settings; the limits of `replicas` speak.
        account: The controller's user name in the cluster; nobody else is judged.
        targets: A policy is made for each, and judges it alone; without any, one for every
            Deployment that the account changes.

    Raises:
        ValueError: The policy bounds no replicas, or those of several pools and nobody said which
            object belongs to which; or a target's pool has no bounds.
    """
    bounds = {one.lever: one for one in policy.limits if one.lever.startswith(_REPLICAS)}
    if not bounds:
        raise ValueError(f"policy {name} bounds no replicas; there is nothing stateless to export")
    if targets:
        return [
            document
            for one in targets
            for document in _documents(name, policy, _of_pool(name, bounds, one), account, one)
        ]
    if len(bounds) > 1:
        raise ValueError(
            f"policy {name} bounds {', '.join(sorted(bounds))}; say which Deployment is which: "
            "--target POOL=NAMESPACE/NAME for each"
        )
    return _documents(name, policy, next(iter(bounds.values())), account, None)


def _of_pool(name: str, bounds: dict[str, LeverLimit], target: Target) -> LeverLimit:
    """Return the pool's own bounds, else those of all pools, as the guards choose.

    Raises:
        ValueError: There are neither.
    """
    limit = bounds.get(_REPLICAS + target.pool, bounds.get(_REPLICAS))
    if limit is None:
        raise ValueError(
            f"policy {name} has no bounds for replicas of pool {target.pool!r}; it bounds "
            f"{', '.join(sorted(bounds))}"
        )
    return limit


def _documents(
    name: str, policy: GuardPolicy, limit: LeverLimit, account: str, target: Target | None
) -> list[dict[str, Any]]:
    called = _NAME.format(name=name)
    conditions = [
        {
            "name": "by-homeostat",
            "expression": f"request.userInfo.username == {json.dumps(account)}",
        }
    ]
    if target is not None:
        called = f"{called}-{target.resource}-{target.namespace}-{target.name}"
        if len(called) > _LONGEST:
            raise ValueError(f"{called} is longer than {_LONGEST} characters; shorten the policy's")
        where = f"request.namespace == {json.dumps(target.namespace)}"
        which = f"request.name == {json.dumps(target.name)}"
        conditions.append({"name": "this-object", "expression": f"{where} && {which}"})
    resource: Resource = "deployment" if target is None else target.resource
    lever = _LEVERS[resource]
    body = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [_RULES[resource]]},
        "matchConditions": conditions,
        "variables": [
            {"name": "before", "expression": lever.format(object="oldObject")},
            {"name": "after", "expression": lever.format(object="object")},
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


# An autoscaler's least replicas are 1 where nobody says them (autoscaling/v2, HPA spec).
_LEVERS: Final[dict[Resource, str]] = {
    "deployment": "{object}.spec.replicas",
    "hpa": "has({object}.spec.minReplicas) ? {object}.spec.minReplicas : 1",
}
_RULES: Final[dict[Resource, dict[str, list[str]]]] = {
    "deployment": {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments", "deployments/scale"],
    },
    "hpa": {
        "apiGroups": ["autoscaling"],
        "apiVersions": ["v1", "v2"],
        "operations": ["UPDATE"],
        "resources": ["horizontalpodautoscalers"],
    },
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
