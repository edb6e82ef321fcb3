"""What one kind of object of the API server offers an actuator: its levers, and who owns them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters import _guard
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.base.intent import Intent
from homeostat.base.world import Replica, Scalar

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class ApiConfig(BaseModel):
    """How the API server is reached; abstract: each actuator adds what it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: _guard.BaseUrl = Field(description="The API server, https://HOST:PORT.")
    namespace: Name = Field(description="The object's namespace.")
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    ca_file: Path | None = Field(default=None, description="PEM certificates to trust.")
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for a reading, seconds."
    )

    @model_validator(mode="after")
    def _keeps_the_token(self) -> Self:
        _guard.kept_secret(self.url, self.token_file)
        return self

    @property
    def home(self) -> str:
        """The namespace, as a path below an API group."""
        return f"/namespaces/{self.namespace}"


class PodsConfig(ApiConfig):
    """The same of an object whose pods are the replicas; abstract."""

    port: int | None = Field(
        default=None, ge=1, le=65_535, description="Where a pod serves; None for no address."
    )
    evict: bool = Field(
        default=False, description="Pods may be restarted, one by one, by eviction."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a reading shows beside the levers.

    Attributes:
        replicas: The pods, in any order.
        changing: The object's controller has not carried out its spec yet.
    """

    replicas: tuple[Replica, ...] = ()
    changing: bool = False


class View(Protocol):
    """One kind of object, as far as its levers go. Objects are as the API server shows them."""

    @property
    def kind(self) -> owner.Kind:
        """The object's kind."""
        ...

    @property
    def object_name(self) -> str:
        """The object's name."""
        ...

    @property
    def levers(self) -> tuple[str, ...]:
        """Every lever that it may have; each takes whole numbers."""
        ...

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the levers that can be read now.

        Raises:
            ValueError: The object makes no sense.
        """
        ...

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return all of the object that anybody may want to be as it is, as JSON has it."""
        ...

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why a known lever can never have this value, empty if it can."""
        ...

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return why the object, as it stands, cannot take these levers, empty if it can."""
        ...

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the merge patch, with no metadata but annotations; empty for none."""
        ...

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the merge patch of the status that asks its controller for the change.

        Empty where `change` says it all. Where it is not, `change` may only hold the object where
        it stands, and move no token: of two writes only the last may have an effect.
        """
        ...

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else decides each lever, for people; a lever may be left out for nobody.

        Raises:
            ApiError: It cannot be told.
        """
        ...

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:
        """Return what else of the namespace is against it, empty for nothing.

        Raises:
            ApiError: It cannot be told.
        """
        ...

    async def restartable(self, api: Api, obj: owner.Object) -> list[dict[str, Any]]:
        """Return the pods that may be restarted, as the API server shows them.

        Raises:
            ApiError: They may not be read.
        """
        ...

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the pods, and whether the change before is still being carried out.

        Raises:
            ApiError: Something may not be read.
            ValueError: What was read makes no sense, or is not in force.
        """
        ...


@runtime_checkable
class Holding(Protocol):
    """A view whose `change` holds an object before its status is asked for something."""

    def over(self, obj: owner.Object) -> dict[str, Any]:
        """Return the merge patch that ends what holds it, once it is not needed; else empty."""
        ...


async def listed(api: Api, kind: owner.Kind, home: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a kind's objects, or who may be the owner when they may not be read.

    Args:
        api: Who is asked.
        kind: Of the objects; none are found where it is not installed.
        home: The namespace's path.

    Returns:
        Objects, and owners for people: who may not look for an owner has one.
    """
    try:
        return await api.listed(kind, home), []
    except ApiError as error:
        return [], [f"nobody knows who (of {kind.plural}: {error})"]


def labelled(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as a query has them.

    >>> labelled([("b", "2"), ("a", "1")])
    'a=1,b=2'
    """
    return ",".join(f"{key}={value}" for key, value in sorted(labels))
