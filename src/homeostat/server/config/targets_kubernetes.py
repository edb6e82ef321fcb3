"""`spec.target`: what is reached through Kubernetes' API server."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from homeostat.adapters._guard import kept_secret
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.spelling import BaseUrl, Name, ObjectName
from homeostat.server.config.units import Duration

_SHORT: Final = 43  # of longer names KServe makes others with a digest
ShortName = Annotated[ObjectName, Field(max_length=_SHORT)]


class ApiTarget(Strict):
    """How the API server is reached; each kind of object adds what it is about."""

    api: BaseUrl = Field(description="The API server.")
    namespace: ObjectName
    token_file: str | None = Field(default=None, min_length=1, max_length=4096)
    ca_file: str | None = Field(default=None, min_length=1, max_length=4096)
    timeout: Duration | None = Field(default=None, description="Longest wait for a read.")

    @model_validator(mode="after")
    def _keeps_the_token(self) -> Self:
        kept_secret(self.api, self.token_file)
        return self


class PodsTarget(ApiTarget):
    """What has pods: where they serve, and whether they may be restarted."""

    port: int | None = Field(
        default=None, ge=1, le=65_535, strict=True, description="Where each pod serves."
    )
    evict: bool = Field(
        default=False,
        strict=True,
        description="A pod may be restarted by evicting it, as disruption budgets allow.",
    )


class KubernetesTarget(PodsTarget):
    """One Deployment, scaled by itself or by the floor of the autoscaler that owns it."""

    deployment: ObjectName
    autoscaler: ObjectName | None = Field(
        default=None, description="HorizontalPodAutoscaler whose minReplicas is moved instead."
    )
    scaled_object: ObjectName | None = Field(
        default=None, description="KEDA's ScaledObject whose minReplicaCount is moved instead."
    )

    ceiling: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        strict=True,
        description="How far the scaler's ceiling may follow its floor; default: not at all.",
    )

    @model_validator(mode="after")
    def _one_scaler(self) -> Self:
        if self.autoscaler is not None and self.scaled_object is not None:
            raise ValueError(
                "says both autoscaler and scaledObject; keep scaledObject, which owns its HPA"
            )
        if self.ceiling is not None and self.autoscaler is None and self.scaled_object is None:
            raise ValueError(
                f"ceiling: {self.ceiling} is a scaler's; name its autoscaler or scaledObject"
            )
        return self


class HttpRouteTarget(ApiTarget):
    """One rule of a Gateway API HTTPRoute, which divides the traffic by weights."""

    route: ObjectName
    backends: dict[Name, ObjectName] = Field(
        min_length=2, max_length=16, description="Pool to the Service that the rule refers to."
    )
    rule: int | None = Field(
        default=None,
        ge=0,
        le=15,
        strict=True,
        description="Which rule, from 0; default: the only one between exactly these Services.",
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if len(set(self.backends.values())) < len(self.backends):
            raise ValueError("two pools of backends have the same Service; name one for each")
        return self


class RolloutTarget(PodsTarget):
    """One Argo Rollout: its replicas, and its canary's share by the steps that are held."""

    rollout: ObjectName
    pause: bool = Field(
        default=False,
        strict=True,
        description="Steps that nothing holds may be gone back to, by pausing the Rollout there.",
    )


class KserveTarget(PodsTarget):
    """One KServe InferenceService: its canary's share, or the floor of its replicas."""

    inference_service: ObjectName
    canary: ObjectName | None = Field(
        default=None, description="Which of spec.canary (Standard mode); default: the only one."
    )


class LlmInferenceServiceTarget(PodsTarget):
    """One KServe LLMInferenceService: its replicas, and how its own rules divide the traffic."""

    service: ShortName
    workload: Literal["primary", "prefill"] = Field(
        default="primary", description="Whose replicas are meant, where prefill is apart."
    )
    canary: ShortName | None = Field(
        default=None,
        description="The LLMInferenceService that its rules divide with: the pool `fallback`.",
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.service == self.canary:
            raise ValueError(f"service and canary are both {self.service!r}; name two")
        return self
