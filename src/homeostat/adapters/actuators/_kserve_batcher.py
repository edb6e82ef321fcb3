"""A predictor's batcher in Standard mode: the largest batch, and the longest wait for one.

KServe notes both on the template of the predictor's pods, for the agent beside the model: a change
is a rolling update of its Deployment, and carried out when that is over. A field that is not
written is no lever, for the agent's own default is nobody's wish.

Sources: kserve apis/serving/v1beta1 (Batcher), components addBatcherAnnotations, constants.go.
"""

from collections.abc import Mapping
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _stamp
from homeostat.base import names
from homeostat.base.world import Scalar

_BATCHER: Final = "batcher"
_NOTES: Final = "internal.serving.kserve.io/batcher-"
# The field of each lever, and the annotation that KServe makes of it; the wait is in milliseconds.
_FIELDS: Final = {
    names.BATCH_MAX: ("maxBatchSize", f"{_NOTES}max-batchsize"),
    names.BATCH_WAIT: ("maxLatency", f"{_NOTES}max-latency"),
}
_MOST: Final = 1_000_000
LEVERS: Final = tuple(_FIELDS)


def values(predictor: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the levers that are written.

    Raises:
        ValueError: One of them is no whole number above 0.
    """
    batcher = predictor.get(_BATCHER) or {}
    found: dict[str, Scalar] = {}
    for lever, (field, _) in _FIELDS.items():
        value = batcher.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"spec.predictor.batcher.{field} is {value!r}")
        found[lever] = value
    return found


def problem(lever: str, value: Scalar) -> str:
    """Return why the agent cannot have this value, empty if it can: it takes 0 for its default."""
    if _stamp.whole(value, _MOST) and int(value) >= 1:
        return ""
    return f"{lever} must be a whole number from 1 to {_MOST}, got {value!r}"


def change(post: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return the patch of a predictor, empty where no lever of a batcher is set."""
    fields = {_FIELDS[lever][0]: int(value) for lever, value in post.items() if lever in _FIELDS}
    return {_BATCHER: fields} if fields else {}


def owners(obj: owner.Object) -> dict[str, list[str]]:
    """Return who else sets each lever, for people."""
    return {
        lever: owner.owners(obj, f"predictor.{_BATCHER}.{field}")
        for lever, (field, _) in _FIELDS.items()
    }


def is_behind(predictor: Mapping[str, Any], deployment: owner.Object) -> bool:
    """Return whether the predictor's pods do not have the levers' values yet."""
    told = values(predictor)
    notes = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
    if any(notes.get(_FIELDS[lever][1]) != str(value) for lever, value in told.items()):
        return True
    status = deployment.get("status", {})
    return bool(told) and status.get("updatedReplicas", 0) != status.get("replicas", 0)
