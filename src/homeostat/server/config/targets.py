"""`spec.target`: what is managed, and through what.

A deployment has one place that knows its replicas and may change them, and at most one that
divides its traffic; HAProxy can be both.
"""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from homeostat.base.names import GATEWAY_LIMIT, OBSERVED, lever_weight
from homeostat.server.config import spelling
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.targets_kubernetes import (
    HttpRouteTarget,
    KserveTarget,
    KubernetesTarget,
    LlmInferenceServiceTarget,
    RolloutTarget,
)
from homeostat.server.config.targets_ray import RayTarget
from homeostat.server.config.targets_triton import TritonTarget
from homeostat.server.config.units import Duration

PROCESS: Final = "process"
ENVOY: Final = "envoy"
HAPROXY: Final = "haproxy"
WEBHOOK: Final = "webhook"
KUBERNETES: Final = "kubernetes"
HTTP_ROUTE: Final = "httproute"
ROLLOUT: Final = "rollout"
KSERVE: Final = "kserve"
LLM: Final = "llminferenceservice"
RAY: Final = "ray"
TRITON: Final = "triton"
Name = spelling.Name
Url = spelling.Url
plain_url = spelling.plain_url
_WEIGHT: Final = lever_weight("")
_TIMEOUT: Final = "Longest wait for a read."


class ProcessTarget(Strict):
    """Model servers that a process host owns."""

    host: Url = Field(description="The host's API.")
    timeout: Duration | None = Field(default=None, description=_TIMEOUT)


class EnvoyTarget(Strict):
    """The proxy in front, for weights and the limit on requests in flight."""

    admin: Url = Field(description="Envoy's admin page.")
    weights: dict[Name, str] = Field(
        default_factory=dict,
        description="Pool to the runtime key of its share; default pool "
        "`fallback` to `traffic.FALLBACK`.",
    )
    limited_clusters: tuple[str, ...] | None = Field(
        default=None, description="Clusters that the limit applies to; default: the pools."
    )
    timeout: Duration | None = Field(default=None, description=_TIMEOUT)


class HaproxyTarget(Strict):
    """One backend of a HAProxy, by its runtime API."""

    socket: str = Field(
        min_length=2,
        max_length=4096,
        pattern=r"^(.*/.*|[^/ ]+:[0-9]{1,5})$",
        description="The stats socket at level admin: a path, or HOST:PORT.",
    )
    backend: str = Field(pattern=r"^[A-Za-z0-9_.:\-]{1,200}$")
    servers: dict[Name, tuple[str, ...]] = Field(
        min_length=1,
        max_length=20,
        description="Pool to the names of its servers; * and ? stand for any.",
    )
    timeout: Duration | None = Field(default=None, description=_TIMEOUT)


class LeverSpec(Strict):
    """What one lever may be asked for."""

    min: float = Field(allow_inf_nan=False)
    max: float = Field(allow_inf_nan=False)
    step: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; swap them")
        return self


class WebhookTarget(Strict):
    """Another service that is asked for changes, and tells what stands there."""

    url: Url = Field(description="Where changes are POSTed.")
    state: Url = Field(description="Where the state is read by GET.")
    secret_file: str = Field(
        min_length=1, max_length=4096, description="Holds the signing secret, at least 16 bytes."
    )
    levers: dict[str, LeverSpec] = Field(
        min_length=1, max_length=100, description="Levers that may be asked for, with their ranges."
    )
    allow: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="HOST:PORT that may be private, without TLS or on another port.",
    )
    timeout: Duration | None = Field(default=None, description=_TIMEOUT)


class Pools(Strict):
    """The traffic arms."""

    stable: Name = Field(default="a", description="Serves most of the traffic.")
    fallback: Name | None = Field(default=None, description="Runs an older version.")

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.stable == self.fallback:
            raise ValueError(f"stable and fallback are both {self.stable!r}; name two pools")
        return self


class TargetSpec(Strict):
    """What is managed, and through what."""

    process: ProcessTarget | None = None
    observe: Literal[True] | None = Field(
        default=None,
        description="Only watched: its replicas are what the entry with a replicaLabel shows.",
    )
    envoy: EnvoyTarget | None = None
    haproxy: HaproxyTarget | None = None
    webhook: WebhookTarget | None = None
    kubernetes: KubernetesTarget | None = None
    http_route: HttpRouteTarget | None = None
    rollout: RolloutTarget | None = None
    kserve: KserveTarget | None = None
    llm_inference_service: LlmInferenceServiceTarget | None = None
    ray: RayTarget | None = None
    triton: TritonTarget | None = None
    pools: Pools = Field(default_factory=Pools)

    @property
    def scale(self) -> str:
        """The actuator that knows the replicas."""
        if self.observe is not None:
            return OBSERVED
        if self.process is not None:
            return PROCESS
        for name in (KUBERNETES, ROLLOUT, KSERVE, RAY, TRITON):
            if getattr(self, name) is not None:
                return name
        if self.llm_inference_service is not None:
            return LLM
        return WEBHOOK if self.webhook is not None else HAPROXY

    @property
    def traffic(self) -> str | None:
        """The actuator that divides the traffic, None if nothing does."""
        return next(iter(self._dividing), None)

    @property
    def weighed(self) -> tuple[str, ...]:
        """The pools whose share of the traffic can be set."""
        for said in (self.haproxy and self.haproxy.servers, self._backends):
            if said:
                return tuple(pool for pool in said if pool != self.pools.stable)
        fallback = (self.pools.fallback,) if self.pools.fallback is not None else ()
        if self.traffic in {ROLLOUT, KSERVE, LLM}:
            return fallback
        if self.envoy is None:
            levers = () if self.webhook is None else self.webhook.levers
            return tuple(one.removeprefix(_WEIGHT) for one in levers if one.startswith(_WEIGHT))
        return tuple(self.envoy.weights) or fallback

    @property
    def where_weights_are(self) -> str:
        """The key that names the pools with a share."""
        keys = {
            HAPROXY: "haproxy.servers",
            WEBHOOK: "webhook.levers",
            HTTP_ROUTE: "httpRoute.backends",
            ROLLOUT: "pools.fallback",
            KSERVE: "pools.fallback",
            LLM: "pools.fallback",
        }
        return f"target.{keys.get(self.traffic or ENVOY, 'envoy.weights')}"

    @property
    def _dividing(self) -> tuple[str, ...]:
        """The actuators that divide the traffic; more than one is refused below."""
        levers = () if self.webhook is None else self.webhook.levers
        asked = any(one.startswith(_WEIGHT) or one == GATEWAY_LIMIT for one in levers)
        there = {
            HAPROXY: self.haproxy is not None,
            ENVOY: self.envoy is not None,
            HTTP_ROUTE: self.http_route is not None,
            ROLLOUT: self.rollout is not None,
            KSERVE: self.kserve is not None and self.pools.fallback is not None,
            LLM: self.llm_inference_service is not None
            and self.llm_inference_service.canary is not None,
            WEBHOOK: asked,
        }
        return tuple(name for name, divides in there.items() if divides)

    @property
    def _backends(self) -> dict[str, str]:
        return {} if self.http_route is None else self.http_route.backends

    @model_validator(mode="after")
    def _reached_somehow(self) -> Self:
        kinds = (PROCESS, "observe", KUBERNETES, ROLLOUT, KSERVE, RAY, TRITON, WEBHOOK)
        owners = [one for one in kinds if getattr(self, one) is not None]
        owners += ["llmInferenceService"] if self.llm_inference_service is not None else []
        if len(owners) > 1:
            raise ValueError(
                f"says both {' and '.join(owners)}; one place knows the replicas "
                "(`observe: true` only watches)"
            )
        if not owners and self.haproxy is None:
            raise ValueError(
                "says neither process, kubernetes, rollout, kserve, llmInferenceService, ray, "
                "triton, haproxy, webhook nor observe; `observe: true` only watches"
            )
        if self.observe and self.traffic is not None:
            raise ValueError(
                f"observe: true changes nothing; take {self.traffic} out, or name a process"
            )
        if len(self._dividing) > 1:
            raise ValueError(f"{' and '.join(self._dividing)} both divide the traffic; keep one")
        return self

    @model_validator(mode="after")
    def _a_canary_has_a_pool(self) -> Self:
        named = [ROLLOUT] if self.rollout is not None else []
        named += [KSERVE] if self.kserve is not None and self.kserve.canary is not None else []
        named += ["llmInferenceService"] if LLM in self._dividing else []
        if named and self.pools.fallback is None:
            raise ValueError(
                f"{named[0]}: name the pool of its canary: pools: {{stable: a, fallback: b}}"
            )
        return self

    @model_validator(mode="after")
    def _pools_are_known_where_traffic_is_divided(self) -> Self:
        servers = None if self.haproxy is None else self.haproxy.servers
        for pool in (self.pools.stable, self.pools.fallback):
            if pool is not None and servers is not None and pool not in servers:
                raise ValueError(f"haproxy.servers: pool {pool!r} has none; name its servers")
            if pool is not None and self._backends and pool not in self._backends:
                raise ValueError(f"httpRoute.backends: pool {pool!r} has none; name its Service")
        return self
