"""Actuator of Kubernetes: the replicas of one Deployment, or the floor of its autoscaler.

Writes are merge patches with the resource version that was read, so that the API server itself
refuses what is out of date. The token is a digest of the spec and of our stamp, an annotation: a
change of status alone is no conflict, any other is. An older epoch is refused by looking first, and
the resource version makes that look part of the write.

A Deployment that somebody else scales (`_kubernetes_owner`), or may scale as far as can be seen, is
left alone: its lever is not reported, and a write is refused by the owner's name. Name the
autoscaler, and its floor is the lever instead: what it decides above that stays its own.
"""

import asyncio
import hashlib
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from homeostat.adapters import _signed
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot, Stamp

STAMP: Final = "homeostat.dev/stamp"
_MOST: Final = 10_000
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
_ODD = (ApiError, ValueError, KeyError, TypeError, AttributeError)
_Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
# Kind: path under /apis, resource, field of the spec, its value where it is not written.
_KINDS: Final = {
    "Deployment": ("apps/v1", "deployments", "replicas", 1),
    "HorizontalPodAutoscaler": (owner.HPA.path, owner.HPA.plural, "minReplicas", 1),
    "ScaledObject": (owner.KEDA.path, owner.KEDA.plural, "minReplicaCount", 0),
}
_CEILINGS: Final = {"minReplicas": "maxReplicas", "minReplicaCount": "maxReplicaCount"}


class KubernetesConfig(BaseModel):
    """Settings of the Kubernetes actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="kubernetes", min_length=1, description="The actuator's name.")
    url: Annotated[str, AfterValidator(_signed.plain_url)] = Field(
        description="The API server, https://HOST:PORT."
    )
    namespace: _Name = Field(description="The Deployment's namespace.")
    deployment: _Name = Field(description="The Deployment's name.")
    scale: Literal["Deployment", "HorizontalPodAutoscaler", "ScaledObject"] = Field(
        default="Deployment", description="What is written: its replicas, or a scaler's floor."
    )
    scaler: _Name | None = Field(default=None, description="The scaler's name; default: as above.")
    pool: str = Field(default="a", min_length=1, description="The pool that its pods serve in.")
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="Where a pod serves; None for no address."
    )
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    ca_file: Path | None = Field(default=None, description="PEM certificates to trust.")
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for a reading, seconds."
    )


class KubernetesActuator:
    """Reads and writes one Deployment, or the scaler that owns its replicas."""

    def __init__(self, config: KubernetesConfig) -> None:
        self._config = config
        self._api = Api(config.url, token_file=config.token_file, ca_file=config.ca_file)
        self._lever = names.lever_replicas(config.pool)
        group, plural, self._field, self._default = _KINDS[config.scale]
        self._home = f"/namespaces/{config.namespace}"
        self._path = f"/apis/{group}{self._home}/{plural}/{config.scaler or config.deployment}"

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._config.name

    def capabilities(self) -> Capabilities:
        """Say what the API server does: compare-and-set, and fencing by the stamp it holds."""
        return Capabilities(
            compare_and_set=True,
            fencing=True,
            levers=(self._lever,),
            owner="people, pipelines and controllers that may patch it; those known are left alone",
            granularity=((self._lever, 1.0),),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read pods, the lever unless somebody else owns it, and the stamp.

        Raises:
            ActuatorError: The API server could not be read, or its answer makes no sense.
        """
        where = f"{self.name}: {self._config.url}{self._path}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                obj = await self._api.get(self._path)
                workload, owned = await asyncio.gather(self._workload(obj), self._owners(obj))
                pods = await self._pods(workload)
            live = self._live(obj)
            stamp = Stamp(
                actuator=self.name, token=_token(obj), intent=live.intent, epoch=live.epoch
            )
            replicas = tuple(sorted(map(self._replica, pods), key=lambda one: one.name))
            changing = _is_changing(workload)
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except _ODD as error:
            raise ActuatorError(f"{where}: {error!s:.300}") from error
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=replicas,
            releases=(),
            levers=() if owned else live.levers,
            stamps=(stamp,),
            changing=changing,
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Patch the lever and the stamp on the version that was read; an empty `post` stamps only.

        NOT_APPLIED only when nothing was sent or the API server said no; a silence is UNKNOWN.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        problem = self._problem(intent)
        if problem is not None:
            return Outcome(NOT_APPLIED, problem)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        sent = [False]
        try:
            async with asyncio.timeout(left_s):
                while (outcome := await self._attempt(intent, sent)) is None:
                    pass  # its version changed in between, and only that: look again
                return outcome
        except TimeoutError:
            return Outcome(UNKNOWN if sent[0] else NOT_APPLIED, f"no answer within {left_s:.1f} s")
        except ApiError as error:
            safe = not sent[0] or not error.sent or error.status in _REFUSALS
            return Outcome(NOT_APPLIED if safe else UNKNOWN, str(error))
        except _ODD as error:
            status = UNKNOWN if sent[0] else NOT_APPLIED
            return Outcome(status, f"an odd answer: {error!r:.300}")

    async def _attempt(self, intent: Intent, sent: list[bool]) -> Outcome | None:
        """Look, and patch what was seen; None when its version changed in between.

        Args:
            intent: What is wanted.
            sent: Set to whether a write may have reached the API server and its fate is not known.

        Raises:
            ApiError: The API server said no, or nothing that proves anything.
        """
        sent[0] = False
        obj = await self._api.get(self._path)
        refused = self._refused(intent, obj)
        if refused is None and intent.post:
            refused = await self._forbidden(intent, obj)
        if refused is not None:
            return refused
        sent[0] = True
        try:
            after = await self._api.patch(self._path, self._change(intent, obj))
        except ApiError as error:
            if error.status == _CONFLICT:
                return None
            raise
        return self._judge(intent, after)

    def _problem(self, intent: Intent) -> str | None:
        """Return why levers cannot be set, None if they can."""
        for lever, value in intent.post:
            if lever != self._lever:
                return f"unknown lever {lever!r} (known: {self._lever})"
            if not _stamp.whole(value, _MOST) or int(value) < 1:
                return f"{lever} must be a whole number from 1 to {_MOST}, got {value!r}"
        if intent.post and intent.token is None:
            return "the intent has no token to compare with"
        return None

    def _refused(self, intent: Intent, obj: owner.Object) -> Outcome | None:
        """Return the outcome that an object decides by itself: done before, or out of date."""
        live = self._live(obj)
        if intent.post and live.intent == intent.id and dict(live.levers) == dict(intent.post):
            return Outcome(DONE, "it had landed before", token=_token(obj))
        stale = _stamp.refusal(intent, live)
        if stale is not None:
            return stale
        if intent.token is not None and intent.token != _token(obj):
            text = f"it is at {_token(obj)} by now, not at {intent.token}"
            return Outcome(NOT_APPLIED, text, conflict=True)
        ceiling = obj["spec"].get(_CEILINGS.get(self._field, ""))
        wanted = dict(intent.post).get(self._lever)
        if isinstance(ceiling, int) and wanted is not None and int(wanted) > ceiling:
            text = f"{self._config.scale} has a ceiling of {ceiling}; raise it there first"
            return Outcome(NOT_APPLIED, text)
        return None

    async def _forbidden(self, intent: Intent, obj: owner.Object) -> Outcome | None:
        """Return why somebody else's word is against it, None if nobody's is."""
        owned = await self._owners(obj)
        if owned:
            text = f"{' and '.join(owned)} decides that; change it there, or name it as the scaler"
            return Outcome(NOT_APPLIED, text)
        before, after = self._value(obj), int(dict(intent.post)[self._lever])
        if after >= before:
            return None
        workload = await self._workload(obj)
        budgets = await self._budgets()
        labels = workload["spec"]["template"]["metadata"].get("labels") or {}
        why = owner.forbidden(budgets, labels, before=before, after=after, undo=intent.undo)
        return Outcome(NOT_APPLIED, why) if why else None

    def _change(self, intent: Intent, obj: owner.Object) -> dict[str, Any]:
        live = self._live(obj)
        after = dict(live.levers) | dict(intent.post)
        meta = {
            "resourceVersion": obj["metadata"]["resourceVersion"],
            "annotations": {STAMP: _stamp.written(intent, live, after)},
        }
        wanted = dict(intent.post).get(self._lever)
        spec = {} if wanted is None else {"spec": {self._field: int(wanted)}}
        return {"metadata": meta, **spec}

    def _judge(self, intent: Intent, after: owner.Object) -> Outcome:
        """Say what the object that came back proves."""
        live = self._live(after)
        wrong = {
            lever: value for lever, value in intent.post if dict(live.levers).get(lever) != value
        }
        ours = not intent.post or live.intent == intent.id
        if ours and not wrong and (live.epoch or 0) >= intent.epoch:
            return Outcome(DONE, "", token=_token(after))
        return Outcome(UNKNOWN, f"the API server took it and shows {live}")

    def _value(self, obj: owner.Object) -> int:
        value = obj["spec"].get(self._field, self._default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"spec.{self._field} is {value!r}")
        return value

    def _live(self, obj: owner.Object) -> Live:
        levers = {self._lever: self._value(obj)}
        text = (obj["metadata"].get("annotations") or {}).get(STAMP, "")
        intent, epoch = _stamp.read(str(text), levers)
        return Live(tuple(levers.items()), intent, epoch or 0)

    async def _owners(self, obj: owner.Object) -> list[str]:
        found = owner.owners(obj, self._field)
        listed = await asyncio.gather(*(self._scaled_by(kind) for kind in owner.SCALERS))
        return found + [one for many in listed for one in many]

    async def _scaled_by(self, kind: owner.Kind) -> list[str]:
        """Return the scalers of a kind that are not the one that is written to."""
        try:
            listed = await self._api.listed(f"/apis/{kind.path}{self._home}/{kind.plural}")
        except ApiError as error:
            return [f"nobody knows who (of {kind.plural}: {error})"]
        ours = (self._config.scale, self._config.scaler or self._config.deployment)
        found = []
        for one in owner.scaling(kind, listed, self._config.deployment):
            meta = one["metadata"]
            above = {(up.get("kind"), up.get("name")) for up in meta.get("ownerReferences", ())}
            if ours not in {(kind.name, meta["name"]), *above}:
                found.append(f"{kind.name}/{meta['name']}")
        return found

    async def _workload(self, obj: owner.Object | None = None) -> owner.Object:
        """Return the Deployment, which may be what is written to."""
        if self._config.scale == "Deployment" and obj is not None:
            return obj
        return await self._api.get(
            f"/apis/apps/v1{self._home}/deployments/{self._config.deployment}"
        )

    async def _budgets(self) -> list[dict[str, Any]]:
        """Return the namespace's disruption budgets, of whichever version the server knows.

        Raises:
            ApiError: They may not be read.
        """
        for version in ("v1", "v1beta1"):
            try:
                path = f"/apis/policy/{version}{self._home}/poddisruptionbudgets"
                return list((await self._api.get(path))["items"])
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise
        return []

    async def _pods(self, workload: owner.Object) -> list[dict[str, Any]]:
        """Return the pods that the Deployment selects."""
        selector = workload["spec"]["selector"]
        labels = selector.get("matchLabels") or {}
        query = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found = (await self._api.get(f"/api/v1{self._home}/pods", labelSelector=query))["items"]
        return [one for one in found if owner.selects(selector, one["metadata"].get("labels", {}))]

    def _replica(self, pod: dict[str, Any]) -> Replica:
        meta, status, port = pod["metadata"], pod.get("status", {}), self._config.port
        address = status.get("podIP")
        host = f"[{address}]" if address and ":" in address else address
        started = status.get("startTime")
        return Replica(
            name=meta["name"],
            pool=self._config.pool,
            version=None,  # an image's name is what was wanted, not what serves
            state=_state(meta, status),
            incarnation=1 + sum(one["restartCount"] for one in status.get("containerStatuses", ())),
            started_at=None if started is None else _time(started),
            address=f"{host}:{port}" if host and port else None,
        )


def _token(obj: owner.Object) -> str:
    """Return a digest of what anybody may want: the spec and our stamp, not the status."""
    stamp = (obj["metadata"].get("annotations") or {}).get(STAMP, "")
    text = json.dumps([obj["metadata"].get("uid"), obj["spec"], stamp], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_changing(workload: owner.Object) -> bool:
    status, meta = workload.get("status", {}), workload["metadata"]
    behind: bool = status.get("observedGeneration", 0) < meta.get("generation", 0)
    unfinished: bool = status.get("replicas", 0) != workload["spec"].get("replicas", 1)
    return behind or unfinished


def _state(meta: dict[str, Any], status: dict[str, Any]) -> ReplicaState:
    if meta.get("deletionTimestamp") is not None:
        return ReplicaState.DRAINING
    if status.get("phase") in {"Failed", "Succeeded"}:
        return ReplicaState.GONE
    ready = {one["type"]: one["status"] for one in status.get("conditions", ())}.get("Ready")
    return ReplicaState.READY if ready == "True" else ReplicaState.STARTING


def _time(text: str) -> TimeNs:
    return TimeNs(int(datetime.fromisoformat(text).timestamp()) * SECOND)


def build(config: KubernetesConfig) -> KubernetesActuator:
    """Return an actuator of one Deployment."""
    return KubernetesActuator(config)


PART = Part(
    kind="actuator",
    name="kubernetes",
    summary="Scales one Deployment, or raises the floor of its autoscaler, by compare-and-set.",
    config=KubernetesConfig,
    build=build,
)
