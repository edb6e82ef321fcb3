"""Actuator of KServe: the canary's share of an InferenceService, or the floor of its replicas.

Which of the two depends on its deployment mode. Serverless (Knative): the share of the latest
revision, `spec.predictor.canaryTrafficPercent`; the rest goes to the revision that was rolled out
before. `minReplicas` is no lever there, for it belongs to the revision's template: writing it would
roll out a new one. Standard (raw Deployments): `spec.predictor.minReplicas`, which KServe hands to
the autoscaler or, without one, to the Deployment.

`status.observedGeneration` is that of the object below, so whether KServe has carried a change out
is read from the traffic that Knative reports, or from the autoscaler itself.
Sources: kserve reconcilers/knative/ksvc_reconciler.go at 279fb1e5; apis/serving/v1beta1
inference_service_status.go (PropagateStatus) at f3e8891b, component.go at f7bf4fd6.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import Field, model_validator

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators import _shares, _stamp
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators._kubernetes_view import ApiConfig, Name, Sight, listed
from homeostat.base import names
from homeostat.base.intent import Intent
from homeostat.base.part import Part
from homeostat.base.world import Scalar

_GROUP: Final = "/apis/serving.kserve.io/v1beta1"
_MODE: Final = "serving.kserve.io/deploymentMode"
_SCALER: Final = "serving.kserve.io/autoscalerClass"
_REVISION: Final = "serving.knative.dev/revision"
_SERVERLESS: Final = frozenset({"Serverless", "Knative"})  # the name until 0.15, and since
_STANDARD: Final = frozenset({"RawDeployment", "Standard"})
_SHARE: Final = "canaryTrafficPercent"
_FLOOR: Final = "minReplicas"
_NOT_FOUND: Final = 404


class KServeConfig(ApiConfig):
    """Settings of the KServe actuator."""

    name: str = Field(default="kserve", min_length=1, description="The actuator's name.")
    service: Name = Field(description="The InferenceService's name.")
    stable: str = Field(default="a", min_length=1, description="The pool of what is rolled out.")
    canary: str | None = Field(
        default=None, min_length=1, description="The pool of the latest revision; None for none."
    )
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="Where a pod serves; None for no address."
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
        self._below = f"{config.service}-predictor"  # what KServe calls what it makes

    @property
    def path(self) -> str:
        """The InferenceService."""
        return f"{_GROUP}{self._config.home}/inferenceservices/{self._config.service}"

    @property
    def levers(self) -> tuple[str, ...]:
        """The floor of the replicas, and the canary's share if it has a pool."""
        return (self._replicas,) if self._weight is None else (self._replicas, self._weight)

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the lever that the deployment mode has, if there is anything to divide.

        Raises:
            ValueError: The mode cannot be told, or a value is no number.
        """
        predictor = obj["spec"]["predictor"]
        if not _is_serverless(obj):
            return {self._replicas: pods.whole(predictor, _FLOOR, 1)}
        share = predictor.get(_SHARE)
        if self._weight is None or share is None or not _revisions(obj).divided:
            return {}
        if not _stamp.whole(pods.whole(predictor, _SHARE, 0), _shares.PERCENT):
            raise ValueError(f"spec.predictor.{_SHARE} is {share!r}")
        return {self._weight: share}

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return the whole spec."""
        return [obj["metadata"].get("uid"), obj["spec"]]

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why there cannot be as many replicas, or not this share."""
        if lever == self._replicas:
            return pods.bad_count(lever, value)
        if _stamp.whole(value, _shares.PERCENT):
            return ""
        return f"{lever} must be a whole number from 0 to {_shares.PERCENT}, got {value!r}"

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return whether the ceiling is in the way."""
        wanted = dict(intent.post).get(self._replicas, 0)
        ceiling = obj["spec"]["predictor"].get("maxReplicas") or 0  # 0 is none
        if ceiling and int(wanted) > ceiling:
            return f"the InferenceService has a maxReplicas of {ceiling}; raise it there first"
        return ""

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:  # noqa: ARG002
        """Return the patch of the predictor's field."""
        fields = {self._replicas: _FLOOR, self._weight: _SHARE}
        return {"spec": {"predictor": {fields[key]: int(value) for key, value in intent.post}}}

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: the spec says it all."""
        return {}

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else sets the fields: GitOps, another controller, Flagger, a scaler."""
        floor = owner.owners(obj, f"predictor.{_FLOOR}")
        if (obj["metadata"].get("annotations") or {}).get(_SCALER) == "external":
            floor.append("an external autoscaler, as its annotation says")
        share = owner.owners(obj, f"predictor.{_SHARE}")
        canaries, unknown = await listed(
            api, f"/apis/flagger.app/v1beta1{self._config.home}/canaries"
        )
        share += unknown
        for one in canaries:
            target = (one.get("spec", {}).get("targetRef") or {}).get("name")
            if target in {self._config.service, self._below}:
                share.append(f"Canary/{one['metadata']['name']}")
        return {self._replicas: floor, **({} if self._weight is None else {self._weight: share})}

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:
        """Return which disruption budget is against a lower floor."""
        before = pods.whole(obj["spec"]["predictor"], _FLOOR, 1)
        after = int(dict(intent.post).get(self._replicas, before))
        if after >= before:
            return ""
        workload = await self._deployment(api)
        return await pods.fewer(
            api, self._config.home, workload, intent, before=before, after=after
        )

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the predictor's pods, and whether KServe has handed the change on."""
        labels = {
            "serving.kserve.io/inferenceservice": self._config.service,
            "component": "predictor",
        }
        found = await pods.selected(api, self._config.home, {"matchLabels": labels})
        pool_of = self._pools(obj)
        replicas = tuple(
            pods.replica(one, pool=pool, port=self._config.port)
            for one in found
            if (pool := pool_of(pods.labels_of(one).get(_REVISION, "")))
        )
        if _is_serverless(obj):
            return Sight(replicas=replicas, changing=_is_divided_otherwise(obj))
        return Sight(replicas=replicas, changing=await self._is_behind(api, obj))

    def _pools(self, obj: owner.Object) -> Any:
        """Return what tells a pod's pool by its revision; revisions without traffic have none."""
        if not _is_serverless(obj):
            return lambda _: self._config.stable
        said = _revisions(obj)
        if obj["spec"]["predictor"].get(_SHARE) is None or not said.divided:
            return {said.ready: self._config.stable}.get
        stable = said.ready if said.created != said.ready else said.before
        canary = self._config.canary or self._config.stable
        return {said.created: canary, stable: self._config.stable}.get

    async def _deployment(self, api: Api) -> owner.Object:
        return await api.get(f"/apis/apps/v1{self._config.home}/deployments/{self._below}")

    async def _is_behind(self, api: Api, obj: owner.Object) -> bool:
        """Return whether the Deployment, or its autoscaler, does not have the floor yet.

        Raises:
            ApiError: They may not be read.
        """
        deployment, home = await self._deployment(api), self._config.home
        floor = pods.whole(obj["spec"]["predictor"], _FLOOR, 1)
        scalers = (
            (owner.HPA, "minReplicas", 1),
            (owner.KEDA, "minReplicaCount", 0),
        )
        for kind, field, default in scalers:
            try:
                path = f"/apis/{kind.path}{home}/{kind.plural}/{self._below}"
                scaler = await api.get(path)
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise
                continue
            behind = pods.whole(scaler["spec"], field, default) != floor
            return behind or pods.is_changing(deployment)
        behind = pods.whole(deployment["spec"], "replicas", 1) != floor
        return behind or pods.is_changing(deployment)


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
    return ObjectActuator(config.name, config, Service(config))


PART = Part(
    kind="actuator",
    name="kserve",
    summary="Sets the canary's share of a KServe InferenceService, or the floor of its replicas.",
    config=KServeConfig,
    build=build,
)
