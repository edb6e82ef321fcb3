"""Actuator of KServe's LLMInferenceService: its replicas, and how its rules divide the traffic.

Both lie in one object, so that one compare-and-set write changes them: how many replicas one of its
workloads has (`_llm_workload`), and the share that its own rules give to a second service, the
canary (`_llm_weights`). The second one is never written to.

Carried out is a change when what KServe makes of the service has it: the workload or its
autoscaler, and the HTTPRoute, which its gateways must have taken. A service that somebody stopped
has no levers.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from homeostat.adapters.actuators import _kubernetes_gateways as gateways
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators import _llm_weights as weights
from homeostat.adapters.actuators import _llm_workload as workloads
from homeostat.adapters.actuators import _shares
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators._kubernetes_view import PodsConfig, Sight
from homeostat.base import names
from homeostat.base.intent import Intent
from homeostat.base.part import Part
from homeostat.base.world import Replica, Scalar

PREFILL: Final = "prefill"
Short = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=weights.LONGEST)
]


class LLMConfig(PodsConfig):
    """Settings of the actuator of LLMInferenceServices."""

    name: str = Field(
        default="llminferenceservice", min_length=1, description="The actuator's name."
    )
    service: Short = Field(description="The LLMInferenceService's name.")
    workload: Literal["primary", "prefill"] = Field(
        default="primary", description="Whose replicas are meant, where prefill is apart."
    )
    second: Short | None = Field(
        default=None, description="The LLMInferenceService that its rules also name."
    )
    stable: str = Field(default="a", min_length=1, description="The service's pool.")
    canary: str | None = Field(
        default=None, min_length=1, description="The second service's pool; None for none."
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if (self.second is None) != (self.canary is None):
            raise ValueError("a second service needs a pool, and the pool a service: give both")
        if self.stable == self.canary:
            raise ValueError(f"stable and canary are both {self.stable!r}; name two pools")
        if self.service == self.second:
            raise ValueError(f"service and second are both {self.service!r}; name two")
        return self


class Service:
    """One LLMInferenceService."""

    def __init__(self, config: LLMConfig) -> None:
        self._config = config
        self._workload = workloads.Workload(config.service, config.workload == PREFILL)
        self._replicas = names.lever_replicas(config.stable)
        self._weight = None if config.canary is None else names.lever_weight(config.canary)
        self._second = config.second or ""

    @property
    def kind(self) -> owner.Kind:
        """An LLMInferenceService."""
        return owner.LLM

    @property
    def object_name(self) -> str:
        """The service's name."""
        return self._config.service

    @property
    def levers(self) -> tuple[str, ...]:
        """The replicas, and the second service's share if there is one."""
        return (self._replicas,) if self._weight is None else (self._replicas, self._weight)

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the replicas where they are written, and the share while there is traffic.

        Raises:
            ValueError: The rules are not the service's own or divide otherwise, or a value is no
                number.
        """
        if workloads.is_stopped(obj):
            return {}
        found: dict[str, Scalar] = {}
        if (count := self._workload.count(obj)) is not None:
            found[self._replicas] = count
        if self._weight is not None and (share := self._share(obj)) is not None:
            found[self._weight] = share
        return found

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return the whole spec, and whether it is stopped."""
        return [obj["metadata"].get("uid"), obj["spec"], workloads.is_stopped(obj)]

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why there cannot be as many replicas, or not this share."""
        if lever == self._replicas:
            return pods.bad_count(lever, value)
        return _shares.problem(lever, value)

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return whether the ceiling is in the way."""
        wanted, most = dict(intent.post).get(self._replicas), self._workload.ceiling(obj)
        if wanted is None or most is None or int(wanted) <= most:
            return ""
        return f"the LLMInferenceService has a maxReplicas of {most}; raise it there first"

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the patch of the replicas and of all rules."""
        post, spec = dict(intent.post), dict[str, Any]()
        if self._replicas in post:
            spec |= self._workload.change(obj, int(post[self._replicas]))
        if self._weight in post:
            share = int(post[str(self._weight)])
            rules = weights.change(weights.rules(obj), self._config.service, self._second, share)
            spec["router"] = {"route": {"http": {"spec": {"rules": rules}}}}
        return {"spec": spec}

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: the spec says it all."""
        return {}

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else sets the fields, and who scales what KServe made of the service."""
        count = await self._workload.owners(api, self._config.home, obj)
        found = {self._replicas: count}
        if self._weight is not None:
            found[self._weight] = owner.owners(obj, weights.FIELD)
        return found

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:
        """Return which disruption budget is against fewer replicas."""
        wanted = dict(intent.post).get(self._replicas)
        if wanted is None:
            return ""
        return await self._workload.fewer(api, self._config.home, obj, intent, int(wanted))

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the pods of both services, and whether KServe has not carried the change out."""
        home, is_stopped = self._config.home, workloads.is_stopped(obj)
        wanted = None if self._weight is None or is_stopped else self._share(obj)
        replicas = self._replicas_of(await self.restartable(api, obj, every=True))
        if self._weight is not None:
            second = workloads.Workload(self._second, self._config.workload == PREFILL)
            found = await second.serving(api, home)
            replicas += self._replicas_of(found, self._config.canary)
        if is_stopped:
            return Sight(replicas=tuple(replicas))
        changing = await self._workload.is_behind(api, home, obj)
        if self._weight is not None:
            route = await api.object(owner.ROUTE, home, f"{self._config.service}{weights.ROUTE}")
            stable = self._config.service
            changing = changing or weights.is_behind(route, stable, self._second, wanted)
            changing = not gateways.in_force(route) or changing
        return Sight(replicas=tuple(replicas), changing=changing)

    async def restartable(
        self,
        api: Api,
        obj: owner.Object,  # noqa: ARG002
        *,
        every: bool = False,
    ) -> list[dict[str, Any]]:
        """Return the workload's pods; those of groups only with `every`."""
        found = await self._workload.serving(api, self._config.home)
        return found if every else workloads.of_one_pod(found)

    def _share(self, obj: owner.Object) -> int | None:
        return weights.share(weights.rules(obj), self._config.service, self._second)

    def _replicas_of(self, found: list[dict[str, Any]], pool: str | None = None) -> list[Replica]:
        into = self._config.stable if pool is None else pool
        return [pods.replica(one, pool=into, port=self._config.port) for one in found]


def build(config: LLMConfig) -> ObjectActuator:
    """Return an actuator of one LLMInferenceService."""
    return ObjectActuator(config.name, config, Service(config), evict=config.evict)


PART = Part(
    kind="actuator",
    name="llminferenceservice",
    summary="Sets an LLMInferenceService's replicas, and how its own rules divide the traffic.",
    config=LLMConfig,
    build=build,
)
