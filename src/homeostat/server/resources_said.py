"""What is said on a custom resource: conditions in its status, and an Event where one changes.

Pure: it takes what is so and returns what is to be written; `in_cluster` writes it. A condition's
status is True, False or Unknown, as everything that judges here. Nothing is read back from it:
a status that somebody else writes changes nothing but what people see until the next look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base.state import LoopState
from homeostat.server.config.crds import GROUP, VERSION
from homeostat.server.resources import Key, key_of

REPORTER: Final = f"{GROUP}/controller"
_MESSAGE_MAX: Final = 1000  # bytes: an Event's note may have 1,024
_VERDICTS: Final = {True: "True", False: "False", None: "Unknown"}
_HEALTHY: Final = {
    True: ("ObjectivesMet", "all objectives are met"),
    False: ("ObjectiveMissed", "an objective is missed"),
    None: ("NotKnown", "whether the objectives are met is not known"),
}
_BAD: Final = frozenset({("Accepted", "False"), ("InForce", "False"), ("Healthy", "False")})
Plain = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of all resources at one moment.

    Attributes:
        refused: Why some cannot be used, each by itself.
        problem: Why all of them together cannot be used; empty when they can.
        restart: What does not come into force before a restart, one sentence each, names first.
        states: The loop's state by deployment.
    """

    refused: Mapping[Key, str]
    problem: str
    restart: Sequence[str]
    states: Mapping[str, LoopState]


def status(obj: Plain, known: Known, now: str) -> Plain | None:
    """Return the status that a resource should have, None where it has it already.

    Args:
        obj: The resource as it was listed.
        known: What is so.
        now: The time of day, as Kubernetes writes it.
    """
    before = obj.get("status")
    before = before if isinstance(before, dict) else {}
    kept = {one.get("type"): one for one in _conditions(before)}
    generation = obj["metadata"].get("generation", 0)
    conditions = []
    for kind, verdict, reason, message in _judged(obj, known):
        old = kept.get(kind, {})
        since = old.get("lastTransitionTime") if old.get("status") == verdict else None
        conditions.append({
            "type": kind,
            "status": verdict,
            "reason": reason,
            "message": _short(message),
            "lastTransitionTime": since or now,
            "observedGeneration": generation,
        })
    after: Plain = {"observedGeneration": generation, "conditions": conditions}
    state = known.states.get(obj["metadata"]["name"]) if obj["kind"] == "ManagedModel" else None
    if state is not None:
        after["mode"] = state.managed.mode.value
    return None if after == before else after


def events(obj: Plain, after: Plain, owner: str, now: str) -> list[Plain]:
    """Return an Event for each condition whose status is not what it was.

    Args:
        obj: The resource as it was listed.
        after: Its new status.
        owner: Who says so.
        now: The time of day, as Kubernetes writes it.
    """
    before = obj.get("status")
    old = {one.get("type"): one.get("status") for one in _conditions(before)}
    meta = obj["metadata"]
    regarding = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": obj["kind"],
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": meta.get("uid", ""),
    }
    return [
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{meta['name']}-",
                "namespace": meta.get("namespace", ""),
            },
            "eventTime": now,
            "type": "Warning" if (one["type"], one["status"]) in _BAD else "Normal",
            "reason": one["reason"],
            "action": one["type"],
            "note": one["message"],
            "regarding": regarding,
            "reportingController": REPORTER,
            "reportingInstance": owner[:128],
        }
        for one in after["conditions"]
        if old.get(one["type"]) != one["status"]
    ]


def _judged(obj: Plain, known: Known) -> list[tuple[str, str, str, str]]:
    """Return type, status, reason and message of each condition."""
    key = key_of(obj)
    own = known.refused.get(key, "")
    if own:
        accepted = ("Accepted", "False", "Refused", own)
    elif known.problem:
        text = f"the last good configuration stays in force: {known.problem}"
        accepted = ("Accepted", "Unknown", "NotUsedTogether", text)
    else:
        accepted = ("Accepted", "True", "Read", "read as it stands")
    if key[0] != "ManagedModel":
        return [accepted, _in_force(known, [])]
    late = [one for one in known.restart if one.startswith(f"{key[1]} ")]
    state = known.states.get(key[1])
    met = None if state is None or state.evidence is None else state.evidence.slo_met
    frozen = None if state is None else state.managed.guard.frozen
    return [
        accepted,
        _in_force(known, late),
        ("Healthy", _VERDICTS[met], *_HEALTHY[met]),
        ("Frozen", _VERDICTS[frozen], "Freeze" if frozen else "NoFreeze", _frozen(frozen)),
    ]


def _in_force(known: Known, late: Sequence[str]) -> tuple[str, str, str, str]:
    if known.refused or known.problem:
        return "InForce", "False", "LastGoodStays", "what was in force before stays in force"
    if late:
        return "InForce", "False", "NeedsRestart", "; ".join(late)
    return "InForce", "True", "InForce", "what it says is in force"


def _frozen(frozen: bool | None) -> str:  # noqa: FBT001 - a verdict
    if frozen is None:
        return "it is not managed yet"
    return "nothing may be changed now, except back" if frozen else "no freeze is in force"


def _conditions(before: Any) -> list[Plain]:
    found = before.get("conditions") if isinstance(before, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _short(message: str) -> str:
    return message.encode()[:_MESSAGE_MAX].decode(errors="ignore")
