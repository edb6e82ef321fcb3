"""The kinds of documents: `ManagedModel`, `GuardrailPolicy`, `Freeze`, `Controller`, `SLO`.

Kubernetes' shape (apiVersion, kind, metadata, spec), so that a file works alone or as a custom
resource. What a value means for the core is worked out in `loaded`; here it is only checked.
"""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from homeostat.base.policy import Mode
from homeostat.server.address import listening
from homeostat.server.config.adaptives import AdaptiveSpec
from homeostat.server.config.canaries import CanarySpec, Certified
from homeostat.server.config.clusters import ClusterSpec, OutsideSpec
from homeostat.server.config.detections import DetectionSpec
from homeostat.server.config.feedbacks import FeedbackSpec
from homeostat.server.config.freezes import FreezeSpec
from homeostat.server.config.guardrails import Guardrails, Strict
from homeostat.server.config.notifies import AlertsSpec, NotifySpec, answers
from homeostat.server.config.openslo import OpenSlo
from homeostat.server.config.prices import ObjectiveSpec
from homeostat.server.config.prometheus import PrometheusSpec
from homeostat.server.config.promises import Slo
from homeostat.server.config.sharing import SharedSpec
from homeostat.server.config.stores import StoreSpec
from homeostat.server.config.targets import Name, TargetSpec, plain_url
from homeostat.server.config.traces import TracesSpec
from homeostat.server.config.trainings import TrainingSpec
from homeostat.server.config.twins import TwinSpec
from homeostat.server.config.units import Duration

API: Final = "homeostat.dev/v1alpha1"


def fill(url: str, *, address: str, name: str, pool: str) -> str:
    """Return a page's address for one replica; three words are replaced, nothing is interpreted.

    >>> fill("http://{address}/metrics", address="127.0.0.1:80", name="a-1", pool="a")
    'http://127.0.0.1:80/metrics'
    """
    return url.replace("{address}", address).replace("{name}", name).replace("{pool}", pool)


class Metadata(Strict):
    """Who the document is about."""

    name: Name = Field(description="Lower-case letters, digits and dashes, at most 63.")
    namespace: Name | None = None
    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    annotations: dict[str, str] = Field(default_factory=dict, max_length=64)


class ScrapeSpec(Strict):
    """One metrics page, or one for every replica."""

    subject: str | None = Field(
        default=None, pattern=r"^(gateway|model|pool:[a-z0-9-]+|replica:[a-z0-9-]+)$"
    )
    from_replicas: bool = Field(
        default=False, strict=True, description="One page per replica as the target lists them."
    )
    url: str = Field(
        default="http://{address}/metrics",
        max_length=2000,
        description="For fromReplicas: {address}, {name} and {pool} stand for the replica's.",
    )
    preset: str = Field(
        min_length=1,
        description="What the series mean: `envoy`, `homeostat_instrument` or `vllm`.",
    )
    pools: tuple[Name, ...] = Field(default=(), description="Pools to report; empty for all.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.from_replicas == (self.subject is not None):
            raise ValueError("says either subject or fromReplicas: true, not both, not neither")
        if "url" not in self.model_fields_set and not self.from_replicas:
            raise ValueError("url is missing; write the page's address")
        filled = fill(self.url, address="127.0.0.1:80", name="a-1", pool="a")
        if "{" in filled or "}" in filled:
            raise ValueError(f"url {self.url!r}: only {{address}}, {{name}} and {{pool}} are known")
        if filled != self.url and not self.from_replicas:
            raise ValueError(f"url {self.url!r}: {{...}} works with fromReplicas only")
        plain_url(filled)
        return self


class MetricsSpec(Strict):
    """Where numbers come from."""

    timeout: Duration | None = Field(
        default=None, description="Deadline of a round; default 0.8 of the interval."
    )
    scrape: tuple[ScrapeSpec, ...] = Field(default=(), max_length=100)
    prometheus: tuple[PrometheusSpec, ...] = Field(
        default=(), max_length=4, description="Each is one query a round."
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.scrape and not self.prometheus:
            raise ValueError("says neither scrape nor prometheus; numbers must come from somewhere")
        return self


class ProbeSpec(Strict):
    """A canned question to every replica, whose answer is known."""

    model: str = Field(pattern=r"^[\w.\-]{1,100}$", description="The model's name on the server.")
    features: tuple[float, ...] = Field(min_length=1, max_length=10_000)
    timeout: Duration | None = Field(default=None, description="Default 0.8 of the interval.")
    expect_low: float | None = Field(default=None, allow_inf_nan=False)
    expect_high: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not all(math.isfinite(feature) for feature in self.features):
            raise ValueError("features must be finite numbers")
        low, high = self.expect_low, self.expect_high
        if low is not None and high is not None and low > high:
            raise ValueError(f"expectLow {low:g} is above expectHigh {high:g}; swap them")
        return self


class LabelsSpec(Strict):
    """Where each replica's recent predictions are read, so that late labels can be joined."""

    path: str = Field(pattern=r"^/[\w./\-]{0,200}$", description="On each replica's address.")


class ModelSpec(Strict):
    """One managed deployment."""

    mode: Mode = Field(default=Mode.SHADOW, description="shadow, approve or auto.")
    interval: Duration = Field(default=15_000_000_000, description="Tick and scrape interval.")
    target: TargetSpec
    metrics: MetricsSpec
    probe: ProbeSpec | None = None
    labels: LabelsSpec | None = None
    twin: TwinSpec | None = None
    canary: CanarySpec | None = None
    training: TrainingSpec | None = None
    adaptive: AdaptiveSpec = Field(default_factory=AdaptiveSpec)
    feedback: FeedbackSpec = Field(default_factory=FeedbackSpec)
    slo: tuple[Slo, ...] = Field(min_length=1, max_length=20)
    objective: ObjectiveSpec = Field(default_factory=ObjectiveSpec)
    policy: Name | None = Field(default=None, description="A GuardrailPolicy's name.")
    guardrails: Guardrails = Field(default_factory=Guardrails)
    shares: tuple[Name, ...] = Field(
        default=(),
        max_length=20,
        description="What it shares with others, such as a node pool: one at a time is changed.",
    )

    @model_validator(mode="after")
    def _can_be_tried(self) -> Self:
        if self.canary is None:
            return self
        pool, target = self.canary.pool, self.target
        if pool == target.pools.stable:
            raise ValueError(f"canary: pool {pool!r} is the stable one; name another")
        if target.traffic is None:
            raise ValueError("canary: nothing divides the traffic; add target.envoy or another")
        if pool not in target.weighed:
            where = target.where_weights_are
            raise ValueError(f"canary: pool {pool!r} has no weight; add it to {where}")
        if Certified.ANSWERS in self.canary.promote_when.certify and self.labels is None:
            raise ValueError(
                "canary: promoteWhen.certify names answers, and nothing joins labels; add labels "
                "with the path of recent predictions, or certify failures"
            )
        if self.canary.bucket < 2 * self.interval:
            raise ValueError("canary: bucket must be two intervals at least, to hold whole ones")
        return self

    @model_validator(mode="after")
    def _can_be_retrained(self) -> Self:
        if self.training is not None and self.canary is None:
            raise ValueError(
                "training: a new version has to prove itself as a canary; add canary with its pool"
            )
        return self

    @model_validator(mode="after")
    def _can_be_watched(self) -> Self:
        if self.target.observe is None:
            return self
        if self.mode is not Mode.SHADOW:
            raise ValueError(
                f"mode {self.mode.value}: target.observe can change nothing; write mode: shadow"
            )
        if not any(one.replica_label for one in self.metrics.prometheus):
            raise ValueError(
                "target.observe: nothing says which replicas there are; add an entry with "
                "replicaLabel to metrics.prometheus (instance is a label of everything)"
            )
        return self

    @model_validator(mode="after")
    def _promises(self) -> Self:
        for kind in ("latency", "errors", "accuracy"):
            names = [str(one.name) for one in self.slo if getattr(one, kind) is not None]
            if len(names) > 1:
                raise ValueError(f"slo: {kind} twice ({', '.join(names)}); keep one")
            if not names and kind != "accuracy":
                raise ValueError(f"slo: no {kind} promise; add one, or nothing can be judged")
        return self


def _reachable_from_here_alone(host: str) -> str:
    listening(host)
    return host


Host = Annotated[str, AfterValidator(_reachable_from_here_alone)]


class ApiSpec(Strict):
    """The controller's own API and console."""

    host: Host = Field(default="127.0.0.1", min_length=1, max_length=253)
    port: int = Field(default=7373, ge=0, le=65535, strict=True)
    token_file: str | None = Field(default=None, max_length=4096)
    people_file: str | None = Field(
        default=None, max_length=4096, description="Kept by `homeostat people`."
    )
    outside: OutsideSpec | None = Field(
        default=None, description="Pages for kubelets and scrapers, on an address of their own."
    )


class ControllerSpec(Strict):
    """The controller process itself; at most one document of this kind."""

    store: StoreSpec | None = None
    cluster: ClusterSpec | None = None
    api: ApiSpec = Field(default_factory=ApiSpec)
    kill_file: str | None = Field(default=None, max_length=4096)
    traces: TracesSpec | None = None
    notify: tuple[NotifySpec, ...] = Field(default=(), max_length=20)
    alerts: AlertsSpec | None = None
    detection: DetectionSpec | None = None
    shared: tuple[SharedSpec, ...] = Field(
        default=(),
        max_length=100,
        description="How much there is of what deployments share; shown divided, never followed.",
    )

    @model_validator(mode="after")
    def _one_request_url(self) -> Self:
        answers(self.notify, Path())
        return self


class ManagedModel(Strict):
    """One managed deployment, as a document."""

    api_version: Literal["homeostat.dev/v1alpha1"]
    kind: Literal["ManagedModel"]
    metadata: Metadata
    spec: ModelSpec


class GuardrailPolicy(Strict):
    """Guard settings that deployments share, as a document."""

    api_version: Literal["homeostat.dev/v1alpha1"]
    kind: Literal["GuardrailPolicy"]
    metadata: Metadata
    spec: Guardrails


class Freeze(Strict):
    """When nothing may be changed, as a document."""

    api_version: Literal["homeostat.dev/v1alpha1"]
    kind: Literal["Freeze"]
    metadata: Metadata
    spec: FreezeSpec


class Controller(Strict):
    """The controller process, as a document."""

    api_version: Literal["homeostat.dev/v1alpha1"]
    kind: Literal["Controller"]
    metadata: Metadata
    spec: ControllerSpec


Kind = ManagedModel | GuardrailPolicy | Freeze | Controller | OpenSlo
KINDS: Final[dict[str, type[Kind]]] = {
    "ManagedModel": ManagedModel,
    "GuardrailPolicy": GuardrailPolicy,
    "Freeze": Freeze,
    "Controller": Controller,
}
OPEN_KINDS: Final[dict[str, type[Kind]]] = {"SLO": OpenSlo}
"""Kinds of `openslo/v1`, read beside ours."""
