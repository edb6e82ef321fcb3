"""What KServe makes of an LLMInferenceService: one workload, or one each for prefill and decode.

A replica is a pod of a Deployment, or, with `worker`, a group of pods of a LeaderWorkerSet, of
which the first one serves. How many there are is `replicas`, or the floor `scaling.minReplicas`,
which KServe hands to the HPA or the ScaledObject that it makes. What is not written in the service
itself comes from its `baseRefs` or from KServe's presets, and is nobody's wish here: no lever.

Sources: kserve pkg/apis/serving/v1alpha2 llm_inference_service_types.go, pkg/controller/v1alpha2/
llmisvc workload_single_node.go, workload_multi_node.go, workload_status.go, scaling.go at aaac4e29;
leaderworkerset_types.go of kubernetes-sigs/lws at 47a6181f.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_pods as pods
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.base.intent import Intent

_FLOOR: Final = "minReplicas"
_STOP: Final = "serving.kserve.io/stop"
_COMPONENT: Final = "app.kubernetes.io/component"
_INDEX: Final = "leaderworkerset.sigs.k8s.io/worker-index"
_FIRST: Final = "0"  # of a group: the leader, or the worker in its place
_WORKLOAD: Final = "llminferenceservice-workload"
_ROLES: Final = ("", "-leader", "-worker")
_KINDS: Final = {one.name: one for one in (owner.DEPLOYMENT, owner.GROUPS)}
_SCALERS: Final = ((owner.HPA, "minReplicas", 1), (owner.KEDA, "minReplicaCount", 0))


@dataclass(frozen=True, slots=True)
class Workload:
    """One of a service's workloads.

    Attributes:
        service: The LLMInferenceService's name.
        prefill: It is the one that reads prompts; else the one that answers, or does both.
    """

    service: str
    prefill: bool = False

    @property
    def _suffix(self) -> str:
        return "-prefill" if self.prefill else ""

    def asked(self, obj: owner.Object) -> Mapping[str, Any]:
        """Return the part of the spec that says what is wanted of it.

        Raises:
            ValueError: The service has no such workload.
        """
        if not self.prefill:
            found: Mapping[str, Any] = obj["spec"]
            return found
        if obj["spec"].get("prefill") is None:
            raise ValueError("it has no spec.prefill; take `workload: prefill` out")
        below: Mapping[str, Any] = obj["spec"]["prefill"]
        return below

    def field(self, obj: owner.Object) -> str:
        """Return the field under `spec` that holds how many there are, empty for none."""
        asked = self.asked(obj)
        own = f"scaling.{_FLOOR}" if "scaling" in asked else "replicas"
        if own == "replicas" and "replicas" not in asked:
            return ""
        return f"prefill.{own}" if self.prefill else own

    def count(self, obj: owner.Object) -> int | None:
        """Return how many are wanted at least, None where that is not written, or it is stopped.

        Raises:
            ValueError: It is no number, or there is no such workload.
        """
        asked = self.asked(obj)
        if is_stopped(obj) or not self.field(obj):
            return None
        if "scaling" in asked:
            return pods.whole(asked["scaling"], _FLOOR, 1)
        return pods.whole(asked, "replicas", 1)

    def ceiling(self, obj: owner.Object) -> int | None:
        """Return how many there may be, None for any number."""
        most = (self.asked(obj).get("scaling") or {}).get("maxReplicas")
        return None if most is None else int(most)

    def change(self, obj: owner.Object, count: int) -> dict[str, Any]:
        """Return the patch of the spec that makes them this many."""
        patch: Any = count
        for step in reversed(self.field(obj).split(".")):
            patch = {step: patch}
        return dict(patch)

    def made(self, obj: owner.Object) -> tuple[owner.Kind, str]:
        """Return the kind and name of what KServe makes of it; as it says, where it does.

        Raises:
            ValueError: It is of a kind that is not known here.
        """
        said = obj.get("status", {}).get("workloads") or {}
        told = said.get("prefill" if self.prefill else "primary")
        if told is None:
            many = "worker" in self.asked(obj)
            kind = owner.GROUPS if many else owner.DEPLOYMENT
            return kind, f"{self.service}-kserve{'-mn' if many else ''}{self._suffix}"
        if told.get("kind") not in _KINDS:
            raise ValueError(f"its workload is a {told.get('kind')!r}, which is not known here")
        return _KINDS[told["kind"]], str(told["name"])

    async def read(self, api: Api, home: str, obj: owner.Object) -> owner.Object:
        """Return what KServe made of it.

        Raises:
            ApiError: It is not there, or may not be read.
        """
        kind, name = self.made(obj)
        return await api.object(kind, home, name)

    async def serving(self, api: Api, home: str) -> list[dict[str, Any]]:
        """Return the pods that serve: those of a Deployment, or the first of each group.

        Raises:
            ApiError: They may not be read.
        """
        labels = {
            "app.kubernetes.io/name": self.service,
            "app.kubernetes.io/part-of": "llminferenceservice",
        }
        components = {f"{_WORKLOAD}{role}{self._suffix}" for role in _ROLES}
        found = await pods.selected(api, home, {"matchLabels": labels})
        return [
            one
            for one in found
            if pods.labels_of(one).get(_COMPONENT) in components
            and pods.labels_of(one).get(_INDEX, _FIRST) == _FIRST
        ]

    async def owners(self, api: Api, home: str, obj: owner.Object) -> list[str]:
        """Return who else says how many there are, for people."""
        if not (field := self.field(obj)):
            return []
        kind, name = self.made(obj)
        others = await pods.scalers(api, home, name, kind=kind.name, ours=self._is_made)
        return owner.owners(obj, field) + others

    async def fewer(
        self, api: Api, home: str, obj: owner.Object, intent: Intent, after: int
    ) -> str:
        """Return which disruption budget is against fewer of them, empty for none.

        A budget may cover the first pod of each group or all of them: both are asked.

        Raises:
            ApiError: The workload or the budgets may not be read.
        """
        before = self.count(obj) or 0
        if after >= before:
            return ""
        workload = await self.read(api, home, obj)
        for template, size in _templates(workload):
            labelled = {"spec": {"template": template}}
            why = await pods.fewer(
                api, home, labelled, intent, before=before * size, after=after * size
            )
            if why:
                return why
        return ""

    async def is_behind(self, api: Api, home: str, obj: owner.Object) -> bool:
        """Return whether KServe has not handed the number on, or the workload not carried it out.

        Raises:
            ApiError: Something may not be read.
        """
        workload, wanted = await self.read(api, home, obj), self.count(obj)
        if wanted is None or _is_unfinished(workload):
            return _is_unfinished(workload)
        if "scaling" not in self.asked(obj):
            return pods.whole(workload["spec"], "replicas", 1) != wanted
        kind, name = self.made(obj)
        many = await asyncio.gather(*(api.listed(one, home) for one, *_ in _SCALERS))
        floors = [
            pods.whole(one["spec"], field, default)
            for (of, field, default), found in zip(_SCALERS, many, strict=True)
            for one in owner.scaling(of, found, name, kind_of=kind.name)
            if self._made(one)
        ]
        return floors != [wanted]

    def _made(self, scaler: owner.Object) -> bool:
        """Return whether KServe made a scaler of this service."""
        return f"{owner.LLM.name}/{self.service}" in owner.controllers(scaler)

    def _is_made(self, kind: str, scaler: owner.Object) -> bool:  # noqa: ARG002
        """Return whether a scaler is KServe's, or the HPA that KEDA makes of that."""
        keda = f"{owner.KEDA.name}/{self.service}-kserve{self._suffix}-keda"
        return self._made(scaler) or keda in owner.controllers(scaler)


def is_stopped(obj: owner.Object) -> bool:
    """Return whether somebody stopped a service: KServe then takes all of it away."""
    notes = obj["metadata"].get("annotations") or {}
    return str(notes.get(_STOP, "")).lower() == "true"


def of_one_pod(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pods that are a replica by themselves: one of a group takes all others along."""
    return [one for one in found if _INDEX not in pods.labels_of(one)]


def _templates(workload: owner.Object) -> list[tuple[Mapping[str, Any], int]]:
    """Return the pods' templates, each with how many pods of a replica a budget may count."""
    spec = workload["spec"]
    if "leaderWorkerTemplate" not in spec:
        return [(spec["template"], 1)]
    group = spec["leaderWorkerTemplate"]
    worker = group.get("workerTemplate") or {"metadata": {}}
    first = group.get("leaderTemplate") or worker
    size = pods.whole(group, "size", 1)
    return [(first, 1), (first, size), (worker, size)]


def _is_unfinished(workload: owner.Object) -> bool:
    """Return whether a workload's controller is not done; older LeaderWorkerSets tell less."""
    if "template" in workload["spec"]:
        return pods.is_changing(workload)
    status, generation = workload.get("status", {}), workload["metadata"].get("generation", 0)
    behind: bool = status.get("observedGeneration", generation) < generation
    unfinished: bool = status.get("replicas", 0) != workload["spec"].get("replicas", 1)
    return behind or unfinished
