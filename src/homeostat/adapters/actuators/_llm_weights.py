"""How an LLMInferenceService's own rules divide the traffic between itself and another one.

The rules are those of `spec.router.route.http.spec`, an HTTPRoute's, which KServe copies into the
HTTPRoute that it makes. Backends are told by the names that KServe gives them: a service's
InferencePool, or its workload's Service. All rules that divide between the two are set alike, in
one write; a rule that names one of them alone is left as it is.

Two other ways of KServe's are refused: `route.group`, where each member's weight lies in another
object, so that no one write sets a share; and `http.refs`, an HTTPRoute that somebody wrote.

Sources: kserve pkg/controller/v1alpha2/llmisvc router.go (expectedHTTPRoute), router_group.go,
config_merge.go at aaac4e29.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators import _shares

FIELD: Final = "router.route.http.spec.rules"
ROUTE: Final = "-kserve-route"  # after the service's name, the HTTPRoute's
_BACKENDS: Final = {"Service": "-kserve-workload-svc", "InferencePool": "-inference-pool"}
_DEFAULT: Final = 1  # the API's, of a weight that is not written
LONGEST: Final = 43  # of a service's name: of longer ones KServe makes names with a digest

Rules = Sequence[Mapping[str, Any]]


def rules(obj: owner.Object) -> Rules:
    """Return the rules that a service writes.

    Raises:
        ValueError: It writes none, or they are not its own to write.
    """
    route = (obj["spec"].get("router") or {}).get("route") or {}
    http = route.get("http") or {}
    if route.get("group"):
        raise ValueError(
            "spec.router.route.group keeps each member's weight in another object, and no one "
            "write sets a share there; write the rules into spec.router.route.http.spec"
        )
    if http.get("refs"):
        raise ValueError(
            "spec.router.route.http.refs names an HTTPRoute of your own; divide by `httpRoute`"
        )
    found: Rules = (http.get("spec") or {}).get("rules") or ()
    if not found:
        raise ValueError("spec.router.route.http.spec has no rules; KServe's own divide nothing")
    return found


def share(found: Rules, stable: str, canary: str) -> int | None:
    """Return the canary's share in percent, None while neither has any weight.

    Args:
        found: The rules.
        stable: The service that takes the rest.
        canary: The service whose share it is.

    Raises:
        ValueError: No rule divides between the two, a rule mixes them with others, or rules
            divide in different ways.
    """
    said = {_share(found[index], canary) for index in _divided(found, stable, canary)}
    if not said:
        raise ValueError(f"no rule divides between the backends of {stable} and {canary}")
    if len(said) > 1:
        many = ", ".join(sorted(map(str, said)))
        raise ValueError(f"its rules give {canary} different shares ({many}); write them alike")
    return said.pop()


def is_behind(route: owner.Object, stable: str, canary: str, wanted: int | None) -> bool:
    """Return whether an HTTPRoute does not divide as the service says."""
    found = route["spec"].get("rules") or ()
    divided = _divided(found, stable, canary)
    return {_share(found[index], canary) for index in divided} != {wanted}


def change(found: Rules, stable: str, canary: str, wanted: int) -> list[dict[str, Any]]:
    """Return the rules with the canary's share set, in percent; lists are sent whole."""
    written = copy.deepcopy([dict(one) for one in found])
    for index in _divided(found, stable, canary):
        for backend in written[index]["backendRefs"]:
            is_new = _service(backend) == canary
            backend["weight"] = wanted if is_new else _shares.PERCENT - wanted
    return written


def _divided(found: Rules, stable: str, canary: str) -> list[int]:
    """Return which rules divide between the two.

    Raises:
        ValueError: One has the canary, and not just these two.
    """
    chosen = []
    for index, rule in enumerate(found):
        named = [_service(one) for one in rule.get("backendRefs") or ()]
        if len(named) < 2 or canary not in named:  # noqa: PLR2004 - a pair
            continue
        if sorted(map(str, named)) != sorted((stable, canary)):
            raise ValueError(f"rule {index} does not divide between just {stable} and {canary}")
        chosen.append(index)
    return chosen


def _share(rule: Mapping[str, Any], canary: str) -> int | None:
    weights = {_service(one): pods.whole(one, "weight", _DEFAULT) for one in rule["backendRefs"]}
    total = sum(weights.values())
    return _shares.percent(weights[canary], total) if total else None


def _service(backend: Mapping[str, Any]) -> str | None:
    """Return the service whose backend this is, None for any other backend."""
    suffix = _BACKENDS.get(backend.get("kind", "Service"))
    name = str(backend.get("name"))
    if suffix is None or "namespace" in backend or not name.endswith(suffix):
        return None
    return name.removesuffix(suffix)
