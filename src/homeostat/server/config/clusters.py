"""`spec.cluster` and `spec.api.outside`: what the controller does in a Kubernetes cluster.

It may let a Lease say who leads, and read documents that are custom resources. Whoever may write
such a resource is not whoever wrote the controller's own file: a resource names files of one folder
only, so that it cannot have the controller send any file's content somewhere (`server.resources`).
"""

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from homeostat.adapters._guard import kept_secret
from homeostat.base.units import MINUTE, SECOND
from homeostat.server.address import listening
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.spelling import BaseUrl, Name
from homeostat.server.config.units import Duration
from homeostat.server.plan import ClusterPlan, ResourcesPlan

INSIDE: Final = "https://kubernetes.default.svc"
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SHORTEST: Final = 2 * SECOND
_EVERY: Final = 10 * SECOND
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - of a pod, which is what a kubelet and a scraper reach


def _an_address(host: str) -> str:
    return listening(host, allow_remote=True)


class OutsideSpec(Strict):
    """A second listener, for kubelets and scrapers: `/livez`, `/readyz`, `/metrics` alone."""

    host: Annotated[str, AfterValidator(_an_address)] = Field(
        default=_EVERYWHERE, min_length=1, max_length=253, description="An address to bind."
    )
    port: int = Field(default=7374, ge=1, le=65_535, strict=True)


class ResourcesSpec(Strict):
    """Custom resources beside the files."""

    files: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The folder that a resource may name files of; none: it may name none.",
    )
    every: Duration = Field(default=_EVERY, description="How often they are looked at.")
    status: bool = Field(
        default=True, strict=True, description="Say on them what became of them, and in Events."
    )

    @field_validator("every")
    @classmethod
    def _neither_a_flood_nor_never(cls, every: int) -> int:
        if not _SHORTEST <= every <= 10 * MINUTE:
            raise ValueError("must be 2s to 10m")
        return every


class ClusterSpec(Strict):
    """The Kubernetes cluster that the controller lives in, or looks at."""

    api: BaseUrl = Field(default=INSIDE, description="The API server; default: from inside a pod.")
    namespace: Name | None = Field(
        default=None, description="Of the Lease and the resources; default: the pod's own."
    )
    token_file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="Default: the pod's account."
    )
    ca_file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="Default: the pod's account."
    )
    lease: Name | None = Field(
        default=None, description="The Lease that says who leads, in place of the store's own way."
    )
    resources: ResourcesSpec | None = Field(
        default=None, description="Read ManagedModels, GuardrailPolicies and Freezes there, too."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.lease is None and self.resources is None:
            raise ValueError("says neither lease nor resources; add one, or take cluster out")
        kept_secret(self.api, self.token_file)
        return self


def plan(spec: ClusterSpec | None, base: Path) -> ClusterPlan | None:
    """Return how the cluster is reached and for what, None if nothing is said.

    Args:
        spec: What the Controller's document says.
        base: Folder that relative paths start from.
    """
    if spec is None:
        return None
    inside = spec.api == INSIDE
    token = ACCOUNT / "token" if inside else None
    ca = ACCOUNT / "ca.crt" if inside else None
    said = spec.resources
    folder = None if said is None or said.files is None else base / said.files
    wanted = (
        None
        if said is None
        else ResourcesPlan(files=folder, every_s=said.every / SECOND, status=said.status)
    )
    return ClusterPlan(
        url=spec.api,
        namespace=spec.namespace,
        token_file=token if spec.token_file is None else base / spec.token_file,
        ca_file=ca if spec.ca_file is None else base / spec.ca_file,
        lease=spec.lease,
        resources=wanted,
    )


def pages(spec: OutsideSpec | None) -> tuple[str, int] | None:
    """Return host and port of the pages for kubelets and scrapers, None for none."""
    return None if spec is None else (spec.host, spec.port)
