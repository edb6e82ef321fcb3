"""A restart of one pod: it is evicted, and its controller makes another in its place.

The lever is the pod's incarnation, as of any replica, and only its next value can be asked for. An
eviction is the API server's own: it refuses what would break a PodDisruptionBudget. It names the
pod's UID, so that one which is sent twice or comes late ends no second pod.

The pod has gone afterwards and another name has come, so the eviction is written down on the object
that the stamp lies on, `POD UID INCARNATION`: beside the stamp that goes ahead first, and it counts
from the moment that no pod of that UID is wanted any more. A UID never comes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.base import names
from homeostat.base.world import Levers, Scalar

PREFIX: Final = names.lever_incarnation("")
PODS: Final = "pods"  # the key under which an object carries the pods that were read with it
EVICTED: Final = "homeostat.dev/evicted"
AHEAD: Final = "homeostat.dev/evicted-ahead"
_MOST: Final = 1_000_000  # restarts; no counter of Kubernetes comes near
_RESOURCE: Final = "pods/eviction"


@dataclass(frozen=True, slots=True)
class Eviction:
    """One pod that was, or is to be, evicted.

    Attributes:
        pod: Its name.
        uid: Its own, whatever has that name later.
        incarnation: What its lever was asked to be.
    """

    pod: str
    uid: str
    incarnation: int

    @property
    def lever(self) -> str:
        """The pod's lever."""
        return names.lever_incarnation(self.pod)

    def written(self) -> str:
        """Return it as an annotation has it."""
        return f"{self.pod} {self.uid} {self.incarnation}"


def levers(obj: owner.Object) -> dict[str, Scalar]:
    """Return the incarnations of an object's pods, and of the last one that was evicted.

    Args:
        obj: The object; without `PODS` nothing of it can be restarted.
    """
    found: dict[str, Scalar] = {}
    if (last := standing(obj)) is not None:
        found[last.lever] = last.incarnation
    for pod in obj.get(PODS, ()):
        if _comes_back(pod):
            found[names.lever_incarnation(pod["metadata"]["name"])] = pods.incarnation(pod)
    return found


def covered(obj: owner.Object, live: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the levers that a stamp covers: what a pod does by itself is nobody's write."""
    own = {lever: value for lever, value in live.items() if not lever.startswith(PREFIX)}
    last = standing(obj)
    return own if last is None else own | {last.lever: last.incarnation}


def standing(obj: owner.Object) -> Eviction | None:
    """Return the last eviction that came true."""
    if PODS not in obj:
        return None
    ahead = _read(_note(obj, AHEAD))
    return ahead if ahead and is_gone(obj, ahead) else _read(_note(obj, EVICTED))


def is_gone(obj: owner.Object, eviction: Eviction) -> bool:
    """Return whether nobody wants the pod any more: it ends, or has ended."""
    there = (one for one in obj[PODS] if one["metadata"].get("uid") == eviction.uid)
    return all(one["metadata"].get("deletionTimestamp") is not None for one in there)


def is_ending(obj: owner.Object) -> bool:
    """Return whether the pod that was evicted last is still there, on its way out."""
    last = standing(obj)
    return last is not None and any(one["metadata"].get("uid") == last.uid for one in obj[PODS])


def is_asked(post: Levers) -> bool:
    """Return whether levers are, or hold, a restart."""
    return any(lever.startswith(PREFIX) for lever, _ in post)


def problem(lever: str, value: Scalar) -> str:
    """Return why a pod can never have this incarnation, empty if it can."""
    if _stamp.whole(value, _MOST) and int(value) >= 1:
        return ""
    return f"{lever} must be a whole number from 1 to {_MOST}, got {value!r}"


def unfit(obj: owner.Object, post: Levers) -> str:
    """Return why these levers are no restart of one pod that is there, empty if they are."""
    if len(post) > 1:
        return "a restart evicts one pod and changes nothing else; ask for one lever"
    lever, value = post[0]
    pod = _of(obj, lever)
    if pod is None:
        return (
            f"pod {lever.removeprefix(PREFIX)} is not there any more, or nothing would replace it"
        )
    now = pods.incarnation(pod)
    return "" if value == now + 1 else f"{lever} is {now}, and a restart makes it {now + 1}"


def meant(obj: owner.Object, post: Levers) -> Eviction | None:
    """Return the eviction that levers ask for, None for none; `unfit` has said that it can be."""
    if not is_asked(post):
        return None
    lever, value = post[0]
    pod = _of(obj, lever)
    if pod is None:
        return None
    return Eviction(pod["metadata"]["name"], pod["metadata"]["uid"], int(value))


def notes(obj: owner.Object, ahead: Eviction | None) -> dict[str, str | None]:
    """Return the annotations of a write: the eviction that stands, and the one that is to come."""
    if PODS not in obj:
        return {}
    last = standing(obj)
    return {
        EVICTED: None if last is None else last.written(),
        AHEAD: None if ahead is None else ahead.written(),
    }


async def forbidden(api: Api, home: str, eviction: Eviction, obj: owner.Object) -> str:
    """Return what the API server would answer with an error instead of a no, empty for nothing.

    Raises:
        ApiError: Budgets may not be read.
    """
    pod = _of(obj, eviction.lever) or {"metadata": {}}
    labels = pods.labels_of(pod)
    covering = [
        one["metadata"]["name"]
        for one in await pods.budgets(api, home)
        if owner.selects(one["spec"].get("selector"), labels)
    ]
    if len(covering) <= 1:
        return ""
    said = " and ".join(f"PodDisruptionBudget/{one}" for one in sorted(covering))
    return f"{said} all cover pod {eviction.pod}: nothing that two budgets cover can be evicted"


async def evict(api: Api, home: str, namespace: str, eviction: Eviction) -> None:
    """Ask for one eviction.

    Args:
        api: Who is asked.
        home: The namespace's path.
        namespace: Its name.
        eviction: Which pod.

    Raises:
        ApiError: It was refused, by a budget for example, or nobody knows.
    """
    asked = {
        "apiVersion": f"policy/{await _version(api)}",
        "kind": "Eviction",
        "metadata": {"name": eviction.pod, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": eviction.uid}},
    }
    await api.create(f"/api/v1{home}/pods/{eviction.pod}/eviction", asked)


async def _version(api: Api) -> str:
    """Return the version of the kind that the server takes: v1beta1 until 1.21, v1 since 1.22.

    Raises:
        ApiError: It does not say; nothing was evicted.
    """
    for one in (await api.get("/api/v1")).get("resources") or ():
        if isinstance(one, dict) and one.get("name") == _RESOURCE:
            return str(one.get("version") or "v1")
    raise ApiError("this API server evicts no pods", sent=False)


def _of(obj: owner.Object, lever: str) -> owner.Object | None:
    """Return the pod of a lever, None if there is none that would come back."""
    name = lever.removeprefix(PREFIX)
    there = (one for one in obj.get(PODS, ()) if one["metadata"]["name"] == name)
    return next((one for one in there if _comes_back(one)), None)


def _comes_back(pod: owner.Object) -> bool:
    """Return whether a pod is wanted, and a controller makes another once it is gone."""
    meta = pod["metadata"]
    over = pod.get("status", {}).get("phase") in {"Failed", "Succeeded"}
    return not over and meta.get("deletionTimestamp") is None and bool(owner.controllers(pod))


def _note(obj: owner.Object, name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name) or "")


def _read(text: str) -> Eviction | None:
    """Return an eviction as it was written down, None for anything else."""
    pod, _, rest = text.partition(" ")
    uid, _, count = rest.partition(" ")
    if not (pod and uid and count.isascii() and count.isdecimal()):
        return None
    return Eviction(pod, uid, int(count))
