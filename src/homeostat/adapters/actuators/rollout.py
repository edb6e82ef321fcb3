"""Actuator of Argo Rollouts: a Rollout's replicas, and its canary's share by the Rollout's steps.

A Rollout owns its pods and its traffic, so it is acted through and never beside. Its weights are
those of its `setWeight` steps; one is a lever's value if an indefinite `pause: {}` right after it
holds it, for otherwise Argo goes on by itself. As its own commands do, a write patches the status:

- to a step: `currentStepIndex` and no `pauseConditions`, as `promote`; from an abort also
  `abort: false`, as `retry`. Argo then brings up pods before it lets traffic follow;
- to 0 where no step holds 0: `abort: true`, as `abort`;
- with `pause`, back to a step that was passed and that nothing holds: first `spec.paused: true`, as
  `pause`, which moves nothing and goes with the stamp that is ahead, then the step. A paused
  Rollout starts and ends no pods, so this way is never one up, and nothing is scaled meanwhile.
  What is paused here goes on with the next write that leads to a held step or to an abort, and with
  the next claim or scaling where nothing needs it; anybody else's pause stays.

Promotion for good is left out: the pods of the version before are gone then, with no way back.
Sources: argo-rollouts rollout/canary.go, rollout/context.go (haltProgress), rollout/pause.go,
rollout/trafficrouting.go and pkg/kubectl-argo-rollouts/cmd/{promote,pause} at 9f8d111d.
"""

from typing import Any, Final, Self

from pydantic import Field, model_validator

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators import _rollout_steps as steps
from homeostat.adapters.actuators import _shares
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators._kubernetes_view import Name, PodsConfig, Sight
from homeostat.base import names
from homeostat.base.intent import Intent
from homeostat.base.part import Part
from homeostat.base.world import Replica, Scalar

_HASH: Final = "rollouts-pod-template-hash"
_HALTED: Final = (
    "the Rollout is paused (spec.paused): it starts and ends no pods, and would only be scaled "
    "when somebody lets it go on"
)
_WORKLOADS: Final = {"Deployment": "deployments", "ReplicaSet": "replicasets"}


class RolloutConfig(PodsConfig):
    """Settings of the Rollout actuator."""

    name: str = Field(default="rollout", min_length=1, description="The actuator's name.")
    rollout: Name = Field(description="The Rollout's name.")
    stable: str = Field(default="a", min_length=1, description="The pool of the stable version.")
    canary: str = Field(default="b", min_length=1, description="The pool of the new version.")
    pause: bool = Field(
        default=False, description="Steps that nothing holds may be gone back to, by spec.paused."
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.stable == self.canary:
            raise ValueError(f"stable and canary are both {self.stable!r}; name two pools")
        return self


class Steps:
    """One Rollout."""

    def __init__(self, config: RolloutConfig) -> None:
        self._config = config
        self._replicas = names.lever_replicas(config.stable)
        self._weight = names.lever_weight(config.canary)

    @property
    def kind(self) -> owner.Kind:
        """A Rollout."""
        return owner.ROLLOUT

    @property
    def object_name(self) -> str:
        """The Rollout's name."""
        return self._config.rollout

    @property
    def levers(self) -> tuple[str, ...]:
        """The replicas, and the canary's share."""
        return (self._replicas, self._weight)

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the replicas, and the canary's share while there is one that is divided by steps.

        Raises:
            ValueError: One of them is no number.
        """
        found: dict[str, Scalar] = {self._replicas: pods.whole(obj["spec"], "replicas", 1)}
        weight = steps.weight(obj)
        return found if weight is None else found | {self._weight: weight}

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return the spec, and what of the status people and controllers ask for.

        A pause of ours moves no token: it holds what stands there.
        """
        status = obj.get("status", {})
        asked = [status.get(key) for key in ("currentPodHash", "stableRS", "abort", "promoteFull")]
        spec = {key: value for key, value in obj["spec"].items() if key != "paused"}
        asked.append(obj["spec"].get("paused") and not steps.is_paused_here(obj))
        return [obj["metadata"].get("uid"), spec, *map(_or_none, asked), steps.weight(obj)]

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why there cannot be as many replicas, or no step can have this weight."""
        if lever == self._replicas:
            return pods.bad_count(lever, value)
        return _shares.problem(lever, value)

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return why the Rollout's steps do not lead there."""
        post = dict(intent.post)
        if len(post) > 1:
            return "a Rollout takes its replicas by the spec and its weight by the status; ask once"
        if self._weight not in post:
            is_halted = self._replicas in post and obj["spec"].get("paused")
            return _HALTED if is_halted and not steps.may_go_on(obj) else ""
        value, held = int(post[self._weight]), steps.held(obj)
        if value == 0:
            return ""  # also of a Rollout that a person paused: it takes risk away
        if obj["spec"].get("paused") and not steps.is_paused_here(obj):
            return "somebody paused the Rollout (spec.paused)"
        if value in held or self._is_back(obj, value):
            return ""
        said = ", ".join(map(str, sorted(held))) or "none"
        return f"no setWeight: {value} with `pause: {{}}` right after it; held are {said}"

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the patch of the replicas, or the pause that comes before a step."""
        post = dict(intent.post)
        if self._replicas in post:
            over = self.over(obj).get("spec", {})  # as paused it would not be scaled
            return {"spec": {"replicas": int(post[self._replicas]), **over}}
        is_back = self._weight in post and self._is_back(obj, int(post[self._weight]))
        return {"spec": {"paused": True}} if is_back else {}

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return what asks Argo for another step, or for an abort."""
        wanted = dict(intent.post).get(self._weight)
        if wanted is None or wanted == steps.weight(obj):
            return {}
        index = steps.held(obj).get(int(wanted))
        if index is None and self._is_back(obj, int(wanted)):
            index = steps.passed(obj, int(wanted))
        if index is None:
            return {"abort": True}
        back = {"abort": False} if obj["status"].get("abort") else {}
        return {**back, "currentStepIndex": index, "pauseConditions": None}

    def over(self, obj: owner.Object) -> dict[str, Any]:
        """Return the patch that ends a pause of ours where it is not needed any more."""
        return {"spec": {"paused": None}} if steps.may_go_on(obj) else {}

    def _is_back(self, obj: owner.Object, value: int) -> bool:
        """Return whether the way to a weight is back to a step that only a pause can hold."""
        wanted = self._config.pause and value != 0 and value not in steps.held(obj)
        return wanted and steps.passed(obj, value) is not None

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else scales it; the weight is a controller's only if the Rollout is."""
        scalers = await pods.scalers(
            api, self._config.home, self._config.rollout, kind="Rollout", ours=_nobody
        )
        return {
            self._replicas: owner.owners(obj, "replicas") + scalers,
            self._weight: owner.controllers(obj),
        }

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:
        """Return who else sets the pause, or which disruption budget is against fewer replicas."""
        if self.change(obj, intent).get("spec", {}).get("paused") and (
            found := owner.owners(obj, "paused")
        ):
            return f"{' and '.join(found)}: the Rollout cannot be paused for the step"
        before = pods.whole(obj["spec"], "replicas", 1)
        after = int(dict(intent.post).get(self._replicas, before))
        if after >= before:
            return ""
        workload = await self._workload(api, obj)
        return await pods.fewer(
            api, self._config.home, workload, intent, before=before, after=after
        )

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the pods of both versions, and whether Argo is on its way to the step."""
        found = await self.restartable(api, obj)
        pools = {
            obj.get("status", {}).get("currentPodHash"): self._config.canary,
            obj.get("status", {}).get("stableRS"): self._config.stable,  # last: they may be one
        }
        replicas: list[Replica] = []
        for one in found:
            pool = pools.get(pods.labels_of(one).get(_HASH))
            if pool is not None:  # pods of older versions get no traffic
                replicas.append(pods.replica(one, pool=pool, port=self._config.port))
        return Sight(replicas=tuple(replicas), changing=steps.is_changing(obj))

    async def restartable(self, api: Api, obj: owner.Object) -> list[dict[str, Any]]:
        """Return the pods of all versions."""
        workload = await self._workload(api, obj)
        return await pods.selected(api, self._config.home, workload["spec"]["selector"])

    async def _workload(self, api: Api, obj: owner.Object) -> owner.Object:
        """Return what holds the template and the selector: the Rollout, or what it refers to."""
        reference = obj["spec"].get("workloadRef")
        if not reference:
            return obj
        plural = _WORKLOADS[reference["kind"]]
        return await api.get(f"/apis/apps/v1{self._config.home}/{plural}/{reference['name']}")


def _or_none(value: Any) -> Any:
    """Return nothing for what is not there, is false or is empty: Argo leaves those out."""
    return value or None


def _nobody(kind: str, obj: owner.Object) -> bool:  # noqa: ARG001
    """Return that no scaler is acted through."""
    return False


def build(config: RolloutConfig) -> ObjectActuator:
    """Return an actuator of one Rollout."""
    return ObjectActuator(config.name, config, Steps(config), evict=config.evict)


PART = Part(
    kind="actuator",
    name="rollout",
    summary="Moves an Argo Rollout between its held steps, aborts it, and sets its replicas.",
    config=RolloutConfig,
    build=build,
)
