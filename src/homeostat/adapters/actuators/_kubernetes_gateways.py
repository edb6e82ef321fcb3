"""Whether the gateways that an HTTPRoute names have taken it as it stands."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner

_CONDITIONS: Final = ("Accepted", "ResolvedRefs")


def in_force(obj: owner.Object) -> bool:
    """Return whether every gateway that the route names has taken it as it stands now.

    Raises:
        ValueError: One has looked at it as it stands, and refuses it.
    """
    meta, said = obj["metadata"], obj.get("status", {}).get("parents") or ()
    wanted = [_parent(one, meta["namespace"]) for one in obj["spec"].get("parentRefs") or ()]
    if not wanted:
        raise ValueError("it names no gateway (spec.parentRefs), so it divides nothing")
    told: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {one: [] for one in wanted}
    for parent in said:
        told.get(_parent(parent["parentRef"], meta["namespace"]), []).append(parent)
    parents = itertools.chain.from_iterable(told.values())
    taken = [_taken(one, meta["generation"]) for one in parents]
    return all(told.values()) and all(taken)


def _parent(reference: Mapping[str, Any], namespace: str) -> tuple[Any, ...]:
    there = reference.get("namespace", namespace)
    return (there, reference["name"], reference.get("sectionName"), reference.get("port"))


def _taken(parent: Mapping[str, Any], generation: int) -> bool:
    seen = {one["type"]: one for one in parent.get("conditions") or ()}
    now = True
    for kind in _CONDITIONS:
        one = seen.get(kind, {})
        fresh = one.get("observedGeneration", -1) >= generation
        if fresh and one.get("status") == "False":
            gateway = parent["parentRef"]["name"]
            why = f"{one.get('reason')}: {one.get('message', '')!s:.200}"
            raise ValueError(f"gateway {gateway!r} does not carry it out ({kind} is False, {why})")
        now = now and fresh and one.get("status") == "True"
    return now
