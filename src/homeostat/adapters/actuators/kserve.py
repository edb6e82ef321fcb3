"""Actuator of KServe: the canary's share of an InferenceService, or the floor of its replicas.

Which of the two depends on its deployment mode. Serverless (Knative): the share of the latest
revision, `spec.predictor.canaryTrafficPercent`; the rest goes to the revision that was rolled out
before. `minReplicas` is no lever there, for it belongs to the revision's template: writing it would
roll out a new one. Standard (raw Deployments): the `trafficPercent` of one of `spec.canary` (from
KServe 0.20, by an HTTPRoute of its own); without canaries `spec.predictor.minReplicas`, which it
hands to the autoscaler or, where there is none, to the Deployment. With canaries it takes their
replicas off that floor, so the floor is no lever then. Without them its batcher's two numbers are
levers as well (`_kserve_batcher`).

`status.observedGeneration` is that of the object below, so whether KServe has carried a change out
is read from the traffic that Knative reports, from the route, or from the autoscaler itself.
Sources: kserve reconcilers/knative/ksvc_reconciler.go at 279fb1e5; apis/serving/v1beta1
inference_service_status.go (PropagateStatus) at f3e8891b, component.go at f7bf4fd6; pull requests
5672, 5912 and 5984 of kserve/kserve for `spec.canary`.
"""

import copy
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import Field, model_validator

from homeostat.adapters.actuators import _kserve_batcher as batcher
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators import _shares
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators._kubernetes_view import Name, PodsConfig, Sight, listed
from homeostat.base import names
from homeostat.base.intent import Intent
from homeostat.base.part import Part
from homeostat.base.world import Scalar

_MODE: Final = "serving.kserve.io/deploymentMode"
_SCALER: Final = "serving.kserve.io/autoscalerClass"
_REVISION: Final = "serving.knative.dev/revision"
_SERVICE: Final = "serving.kserve.io/inferenceservice"
_CANARY: Final = "canary"
_SERVERLESS: Final = frozenset({"Serverless", "Knative"})  # the name until 0.15, and since
_STANDARD: Final = frozenset({"RawDeployment", "Standard"})
_SHARE: Final = "canaryTrafficPercent"
_FLOOR: Final = "minReplicas"
_NOT_FOUND: Final = 404
_SCALERS: Final = ((owner.HPA, "minReplicas", 1), (owner.KEDA, "minReplicaCount", 0))


class KServeConfig(PodsConfig):
    """Settings of the KServe actuator."""

    name: str = Field(default="kserve", min_length=1, description="The actuator's name.")
    service: Name = Field(description="The InferenceService's name.")
    stable: str = Field(default="a", min_length=1, description="The pool of what is rolled out.")
    canary: str | None = Field(
        default=None, min_length=1, description="The pool of what is new; None for none."
    )
    entry: Name | None = Field(
        default=None, description="Which of spec.canary is meant; None for the only one."
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.stable == self.canary:
            raise ValueError(f"stable and canary are both {self.stable!r}; name two pools")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revisions:
    """What KServe says of the predictor's revisions; empty for none."""

    created: str
    ready: str
    before: str  # what the rest of the traffic goes to: rolled out, and not the latest

    @property
    def divided(self) -> bool:
        """True when there are two that traffic can be divided between, or will be."""
        return self.ready != "" and (self.created != self.ready or self.before != "")


class Service:
    """One InferenceService."""

    def __init__(self, config: KServeConfig) -> None:
        self._config = config
        self._replicas = names.lever_replicas(config.stable)
        self._weight = None if config.canary is None else names.lever_weight(config.canary)

    @property
    def kind(self) -> owner.Kind:
        """An InferenceService."""
        return owner.SERVICE

    @property
    def object_name(self) -> str:
        """The InferenceService's name."""
        return self._config.service

    @property
    def levers(self) -> tuple[str, ...]:
        """The floor of the replicas, the batcher's, and the canary's share if it has a pool."""
        own = (self._replicas, *batcher.LEVERS)
        return own if self._weight is None else (*own, self._weight)

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the lever that the deployment mode has, if there is anything to divide.

        Raises:
            ValueError: The mode cannot be told, or a value is no number.
        """
        predictor = obj["spec"]["predictor"]
        if _is_serverless(obj):
            share = predictor.get(_SHARE)
            if share is None or not _revisions(obj).divided:
                return {}
            share = _percent(predictor, _SHARE)
        elif not obj["spec"].get(_CANARY):
            floor = pods.whole(predictor, _FLOOR, 1)
            return {self._replicas: floor, **batcher.values(predictor)}
        else:
            share = _percent(self._entry(obj), "trafficPercent")
        return {} if self._weight is None else {self._weight: share}

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return the whole spec."""
        return [obj["metadata"].get("uid"), obj["spec"]]

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why there cannot be as many replicas, not this share, or no such batch."""
        if lever == self._replicas:
            return pods.bad_count(lever, value)
        if lever in batcher.LEVERS:
            return batcher.problem(lever, value)
        return _shares.problem(lever, value)

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return whether the ceiling, or the shares of other canaries, are in the way."""
        wanted = dict(intent.post).get(self._replicas, 0)
        ceiling = obj["spec"]["predictor"].get("maxReplicas") or 0  # 0 is none
        if ceiling and int(wanted) > ceiling:
            return f"the InferenceService has a maxReplicas of {ceiling}; raise it there first"
        if self._weight is None or self._weight not in dict(intent.post) or _is_serverless(obj):
            return ""
        total = sum(_percent(one, "trafficPercent") for one in self._canaries(obj, intent))
        return "" if total <= _shares.PERCENT else f"all canaries together would get {total} %"

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the patch of the predictor's fields, or of all canaries: lists are sent whole."""
        post = dict(intent.post)
        if self._weight not in post:
            floor = {_FLOOR: int(post[self._replicas])} if self._replicas in post else {}
            return {"spec": {"predictor": {**floor, **batcher.change(post)}}}
        if not _is_serverless(obj):
            return {"spec": {_CANARY: self._canaries(obj, intent)}}
        return {"spec": {"predictor": {_SHARE: int(post[str(self._weight)])}}}

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: the spec says it all."""
        return {}

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else sets the fields: GitOps, another controller, Flagger, a scaler."""
        floor = owner.owners(obj, f"predictor.{_FLOOR}")
        if (obj["metadata"].get("annotations") or {}).get(_SCALER) == "external":
            floor.append("an external autoscaler, as its annotation says")
        share = owner.owners(obj, f"predictor.{_SHARE}" if _is_serverless(obj) else _CANARY)
        canaries, unknown = await listed(api, owner.CANARY, self._config.home)
        share += unknown
        for one in canaries:
            target = (one.get("spec", {}).get("targetRef") or {}).get("name")
            if target in {self._config.service, f"{self._config.service}-predictor"}:
                share.append(f"Canary/{one['metadata']['name']}")
        found = {self._replicas: floor, **batcher.owners(obj)}
        return found if self._weight is None else {**found, self._weight: share}

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:
        """Return which disruption budget is against a lower floor."""
        before = pods.whole(obj["spec"]["predictor"], _FLOOR, 1)
        after = int(dict(intent.post).get(self._replicas, before))
        if after >= before:
            return ""
        workload = await self._deployment(api, obj["spec"]["predictor"])
        return await pods.fewer(
            api, self._config.home, workload, intent, before=before, after=after
        )

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the predictor's pods, and whether KServe has not handed the change on."""
        if not _is_serverless(obj):
            return await self._standard(api, obj)
        found = await self.restartable(api, obj)
        pool_of = self._pools(obj)
        replicas = tuple(
            pods.replica(one, pool=pool, port=self._config.port)
            for one in found
            if (pool := pool_of.get(pods.labels_of(one).get(_REVISION, "")))
        )
        return Sight(replicas=replicas, changing=_is_divided_otherwise(obj))

    async def restartable(self, api: Api, obj: owner.Object) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the predictor's pods, by the label that KServe gives them in both modes."""
        labels = {_SERVICE: self._config.service, "component": "predictor"}
        return await pods.selected(api, self._config.home, {"matchLabels": labels})

    def _pools(self, obj: owner.Object) -> dict[str, str]:
        """Return the pool of each revision; those without traffic have none."""
        said = _revisions(obj)
        if obj["spec"]["predictor"].get(_SHARE) is None or not said.divided:
            return {said.ready: self._config.stable}
        stable = said.ready if said.created != said.ready else said.before
        canary = self._config.canary or self._config.stable
        return {said.created: canary, stable: self._config.stable}

    def _entry(self, obj: owner.Object) -> owner.Object:
        """Return the canary that is meant.

        Raises:
            ValueError: It is not there, or which one is meant cannot be told.
        """
        there = {str(one["predictor"].get("name")): one for one in obj["spec"][_CANARY]}
        wanted = self._config.entry
        if wanted is None and len(there) == 1:
            return next(iter(there.values()))
        if wanted not in there:
            said = ", ".join(sorted(there))
            raise ValueError(f"spec.canary has {said}, not {wanted!r}; say which is the `canary`")
        found: owner.Object = there[wanted]
        return found

    def _canaries(self, obj: owner.Object, intent: Intent) -> list[dict[str, Any]]:
        """Return all of `spec.canary`, with the share of the one that is meant set."""
        meant = self._entry(obj)["predictor"]["name"]
        value = int(dict(intent.post)[str(self._weight)])
        return [
            {**one, "trafficPercent": value} if one["predictor"].get("name") == meant else one
            for one in copy.deepcopy(obj["spec"][_CANARY])
        ]

    def _name(self, predictor: owner.Object) -> str:
        """Return what KServe calls what it makes of a predictor in Standard mode."""
        own = predictor.get("name")
        return f"{self._config.service}-{own}-predictor" if own else self._predictor

    @property
    def _predictor(self) -> str:
        return f"{self._config.service}-predictor"

    async def _deployment(self, api: Api, predictor: owner.Object) -> owner.Object:
        return await api.object(owner.DEPLOYMENT, self._config.home, self._name(predictor))

    async def _standard(self, api: Api, obj: owner.Object) -> Sight:
        """Return the pods of the Deployments, and whether floor or shares are not there yet.

        Raises:
            ApiError: Something may not be read.
            ValueError: Nothing divides the traffic.
        """
        spec, home = obj["spec"], self._config.home
        stable = await self._deployment(api, spec["predictor"])
        parts = [(stable, self._config.stable)]
        if not spec.get(_CANARY):
            changing = await self._is_behind(api, obj, stable)
            changing = changing or batcher.is_behind(spec["predictor"], stable)
        else:
            entry = self._entry(obj)
            new = await self._deployment(api, entry["predictor"])
            if self._config.canary is not None:
                parts.append((new, self._config.canary))
            route = await api.object(owner.ROUTE, home, self._predictor)
            wanted = _percent(entry, "trafficPercent")
            changing = _routed(route, self._name(entry["predictor"])) != wanted
            changing = changing or not _is_ready(obj, entry) or pods.is_changing(stable)
        replicas = [
            pods.replica(one, pool=pool, port=self._config.port)
            for deployment, pool in parts
            for one in await pods.selected(api, home, deployment["spec"]["selector"])
        ]
        return Sight(replicas=tuple(replicas), changing=changing)

    async def _is_behind(self, api: Api, obj: owner.Object, deployment: owner.Object) -> bool:
        """Return whether the Deployment, or its autoscaler, does not have the floor yet.

        Raises:
            ApiError: They may not be read.
        """
        home, predictor = self._config.home, obj["spec"]["predictor"]
        floor = pods.whole(predictor, _FLOOR, 1)
        for kind, field, default in _SCALERS:
            try:
                scaler = await api.object(kind, home, self._name(predictor))
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise
                continue
            behind = pods.whole(scaler["spec"], field, default) != floor
            return behind or pods.is_changing(deployment)
        behind = pods.whole(deployment["spec"], "replicas", 1) != floor
        return behind or pods.is_changing(deployment)


def _percent(spec: owner.Object, field: str) -> int:
    """Return a share that a spec holds, 0 where it is not written.

    Raises:
        ValueError: It is no whole number from 0 to 100.
    """
    value = pods.whole(spec, field, 0)
    if value > _shares.PERCENT:
        raise ValueError(f"{field} is {value!r}")
    return value


def _routed(route: owner.Object, service: str) -> int | None:
    """Return a Service's share of a route's only rule in percent, None where it has none.

    A canary that is not ready, KServe leaves out of the route.
    """
    rules = route["spec"].get("rules") or [{}]
    weights = {
        one["name"]: pods.whole(one, "weight", 1) for one in rules[0].get("backendRefs") or ()
    }
    total = sum(weights.values())
    return _shares.percent(weights.get(service, 0), total) if total else None


def _is_ready(obj: owner.Object, entry: owner.Object) -> bool:
    told = obj.get("status", {}).get("canaryStatuses") or ()
    name = entry["predictor"].get("name")
    return any(one.get("name") == name and one.get("ready") is True for one in told)


def _is_serverless(obj: owner.Object) -> bool:
    """Return which of its two kinds of deployment an InferenceService has.

    Raises:
        ValueError: It has another, or nothing says which.
    """
    annotated = (obj["metadata"].get("annotations") or {}).get(_MODE)
    mode = obj.get("status", {}).get("deploymentMode") or annotated
    if mode in _SERVERLESS or mode in _STANDARD:
        return mode in _SERVERLESS
    raise ValueError(
        f"its deployment mode is {mode!r}; annotate it with {_MODE}: Serverless or RawDeployment"
    )


def _revisions(obj: owner.Object) -> _Revisions:
    said = (obj.get("status", {}).get("components") or {}).get("predictor") or {}
    ready, rolled = said.get("latestReadyRevision", ""), said.get("latestRolledoutRevision", "")
    before = rolled if rolled != ready else said.get("previousRolledoutRevision", "")
    return _Revisions(created=said.get("latestCreatedRevision", ""), ready=ready, before=before)


def _is_divided_otherwise(obj: owner.Object) -> bool:
    """Return whether Knative's traffic is not yet what the spec says."""
    said, share = _revisions(obj), obj["spec"]["predictor"].get(_SHARE)
    if not said.ready or said.created != said.ready:
        return True
    predictor = obj["status"]["components"]["predictor"]
    traffic = predictor.get("traffic") or ()
    latest = sum(one.get("percent", 0) for one in traffic if one.get("revisionName") == said.ready)
    wanted = share if share is not None and said.before else _shares.PERCENT
    return bool(latest != wanted)


def build(config: KServeConfig) -> ObjectActuator:
    """Return an actuator of one InferenceService."""
    return ObjectActuator(config.name, config, Service(config), evict=config.evict)


PART = Part(
    kind="actuator",
    name="kserve",
    summary="Sets the canary's share of a KServe InferenceService, or the floor of its replicas.",
    config=KServeConfig,
    build=build,
)
