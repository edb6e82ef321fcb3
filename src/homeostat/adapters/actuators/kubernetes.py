"""Actuator of Kubernetes: the replicas of one Deployment, or the floor of its autoscaler.

How it writes is in `_kubernetes_object`. A Deployment that somebody else scales
(`_kubernetes_owner`), or may scale as far as can be seen, is left alone: its lever is not reported,
and a write is refused by the owner's name. Name the autoscaler, and its floor is the lever instead:
what it decides above that stays its own. Its ceiling follows a floor that is above it, where that
is allowed (`_kubernetes_ceiling`).
"""

from typing import Any, Final, Literal

from pydantic import Field

from homeostat.adapters.actuators import _kubernetes_ceiling as ceiling
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators._kubernetes_view import Name, PodsConfig, Sight
from homeostat.base import names
from homeostat.base.intent import Intent
from homeostat.base.part import Part
from homeostat.base.world import Scalar

# Kind, field of the spec, its value where it is not written.
_KINDS: Final = {
    "Deployment": (owner.DEPLOYMENT, "replicas", 1),
    "HorizontalPodAutoscaler": (owner.HPA, "minReplicas", 1),
    "ScaledObject": (owner.KEDA, "minReplicaCount", 0),
}


class KubernetesConfig(PodsConfig):
    """Settings of the Kubernetes actuator."""

    name: str = Field(default="kubernetes", min_length=1, description="The actuator's name.")
    deployment: Name = Field(description="The Deployment's name.")
    scale: Literal["Deployment", "HorizontalPodAutoscaler", "ScaledObject"] = Field(
        default="Deployment", description="What is written: its replicas, or a scaler's floor."
    )
    scaler: Name | None = Field(default=None, description="The scaler's name; default: as above.")
    pool: str = Field(default="a", min_length=1, description="The pool that its pods serve in.")
    ceiling: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="The highest ceiling that the scaler may be given; None: it stays as it is.",
    )


class Scaled:
    """One Deployment, or the scaler that owns its replicas."""

    def __init__(self, config: KubernetesConfig) -> None:
        self._config = config
        self._lever = names.lever_replicas(config.pool)
        self._kind, self._field, self._default = _KINDS[config.scale]
        self._ours = (config.scale, config.scaler or config.deployment)

    @property
    def kind(self) -> owner.Kind:
        """Of what is written to."""
        return self._kind

    @property
    def object_name(self) -> str:
        """Of what is written to."""
        return self._ours[1]

    @property
    def levers(self) -> tuple[str, ...]:
        """The pool's replicas."""
        return (self._lever,)

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the replicas, or their floor.

        Raises:
            ValueError: They are no number, or those of another workload.
        """
        self._must_be_ours(obj["spec"])
        return {self._lever: pods.whole(obj["spec"], self._field, self._default)}

    def _must_be_ours(self, spec: owner.Object) -> None:
        """Refuse a scaler that scales anything else.

        Raises:
            ValueError: It does; nothing of it is read or written then, not even a stamp.
        """
        if self._config.scale == "Deployment":
            return
        up = spec.get("scaleTargetRef") or {}
        kind, name = up.get("kind", "Deployment"), up.get("name")  # KEDA may leave the kind out
        group = str(up.get("apiVersion", "apps/v1")).partition("/")[0]
        if (group, kind, name) != ("apps", "Deployment", self._config.deployment):
            raise ValueError(
                f"{'/'.join(self._ours)} scales {group}'s {kind}/{name}, not Deployment/"
                f"{self._config.deployment}; name its own autoscaler in spec.target.kubernetes"
            )

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return the whole spec."""
        return [obj["metadata"].get("uid"), obj["spec"]]

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why there cannot be as many replicas."""
        return pods.bad_count(lever, value)

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return whether the scaler's ceiling is in the way."""
        return self._ceiling(obj).problem(self._config.scale, self._wanted(intent))

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the patch of the field, and of the ceiling where it follows."""
        wanted = self._wanted(intent)
        more = self._ceiling(obj).change(wanted)
        return more | {"spec": {self._field: wanted, **more.get("spec", {})}}

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: the spec says it all."""
        return {}

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else scales it; the scaler that is written to is nobody else."""
        found = await pods.scalers(
            api, self._config.home, self._config.deployment, kind="Deployment", ours=self._is_ours
        )
        return {self._lever: owner.owners(obj, self._field) + found}

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:
        """Return who sets the ceiling that would follow, or which budget is against fewer."""
        before = pods.whole(obj["spec"], self._field, self._default)
        after, above = self._wanted(intent), self._ceiling(obj)
        if above.moves(after) and (found := owner.owners(obj, above.field)):
            return f"{' and '.join(found)}: the ceiling of {above.now} cannot follow the floor"
        if after >= before:
            return ""
        workload = await self._workload(api, obj)
        return await pods.fewer(
            api, self._config.home, workload, intent, before=before, after=after
        )

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the Deployment's pods, and whether its controller is behind."""
        workload = await self._workload(api, obj)
        found = await self._pods(api, workload)
        replicas = tuple(
            pods.replica(one, pool=self._config.pool, port=self._config.port) for one in found
        )
        return Sight(replicas=replicas, changing=pods.is_changing(workload))

    async def restartable(self, api: Api, obj: owner.Object) -> list[dict[str, Any]]:
        """Return the Deployment's pods."""
        return await self._pods(api, await self._workload(api, obj))

    async def _pods(self, api: Api, workload: owner.Object) -> list[dict[str, Any]]:
        return await pods.selected(api, self._config.home, workload["spec"]["selector"])

    def _ceiling(self, obj: owner.Object) -> ceiling.Ceiling:
        return ceiling.of(obj, self._field, self._config.ceiling)

    def _wanted(self, intent: Intent) -> int:
        return int(dict(intent.post)[self._lever])

    def _is_ours(self, kind: str, obj: owner.Object) -> bool:
        meta = obj["metadata"]
        above = {(up.get("kind"), up.get("name")) for up in meta.get("ownerReferences", ())}
        return self._ours in {(kind, meta["name"]), *above}

    async def _workload(self, api: Api, obj: owner.Object) -> owner.Object:
        """Return the Deployment, which may be what is written to."""
        if self._config.scale == "Deployment":
            return obj
        return await api.object(owner.DEPLOYMENT, self._config.home, self._config.deployment)


def build(config: KubernetesConfig) -> ObjectActuator:
    """Return an actuator of one Deployment."""
    return ObjectActuator(config.name, config, Scaled(config), evict=config.evict)


PART = Part(
    kind="actuator",
    name="kubernetes",
    summary="Scales one Deployment, or raises the floor of its autoscaler, by compare-and-set.",
    config=KubernetesConfig,
    build=build,
)
