"""One object of the API server whose fields are levers: what all actuators of Kubernetes share.

Writes are merge patches with the resource version that was read, so that the API server itself
refuses what is out of date. The token is a digest of what anybody may want of the object and of our
stamp, an annotation: a change of status alone is no conflict, any other is. An older epoch is
refused by looking first, and the resource version makes that look part of the write.

A `View` says what one kind of object has for levers, and who else decides them. Where somebody
does, or may as far as can be seen, the levers are not reported and a write is refused by name.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from homeostat.adapters import _signed
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, Scalar, Snapshot, Stamp

STAMP: Final = "homeostat.dev/stamp"
_CONFLICT: Final = 409
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
_ODD = (ApiError, ValueError, KeyError, TypeError, AttributeError)
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class ApiConfig(BaseModel):
    """How the API server is reached; abstract: each actuator adds what it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_signed.plain_url)] = Field(
        description="The API server, https://HOST:PORT."
    )
    namespace: Name = Field(description="The object's namespace.")
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    ca_file: Path | None = Field(default=None, description="PEM certificates to trust.")
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for a reading, seconds."
    )

    @property
    def home(self) -> str:
        """The namespace, as a path below an API group."""
        return f"/namespaces/{self.namespace}"


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
    def path(self) -> str:
        """The object's path."""
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
        """Return the merge patch of the object without its metadata; empty for none."""
        ...

    async def owners(self, api: Api, obj: owner.Object) -> list[str]:
        """Return who else decides the levers, for people.

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

    async def sight(self, api: Api, obj: owner.Object) -> Sight:
        """Return the pods, and whether the change before is still being carried out.

        Raises:
            ApiError: Something may not be read.
            ValueError: What was read makes no sense, or is not in force.
        """
        ...


class ObjectActuator:
    """Reads and writes one object, as its view says."""

    def __init__(self, name: str, config: ApiConfig, view: View) -> None:
        self._name, self._config, self._view = name, config, view
        self._api = Api(config.url, token_file=config.token_file, ca_file=config.ca_file)
        self._path = view.path

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._name

    def capabilities(self) -> Capabilities:
        """Say what the API server does: compare-and-set, and fencing by the stamp it holds."""
        return Capabilities(
            compare_and_set=True,
            fencing=True,
            levers=self._view.levers,
            owner="people, pipelines and controllers that may patch it; those known are left alone",
            granularity=tuple((lever, 1.0) for lever in self._view.levers),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read pods, the levers unless somebody else owns them, and the stamp.

        Raises:
            ActuatorError: The API server could not be read, or its answer makes no sense.
        """
        where = f"{self.name}: {self._config.url}{self._path}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                obj = await self._api.get(self._path)
                sight, owned = await asyncio.gather(
                    self._view.sight(self._api, obj), self._view.owners(self._api, obj)
                )
            live = self._live(obj)
            stamp = Stamp(
                actuator=self.name, token=self._token(obj), intent=live.intent, epoch=live.epoch
            )
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except _ODD as error:
            raise ActuatorError(f"{where}: {error!s:.300}") from error
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=tuple(sorted(sight.replicas, key=lambda one: one.name)),
            releases=(),
            levers=() if owned else live.levers,
            stamps=(stamp,),
            changing=sight.changing,
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Patch levers and stamp on the version that was read; an empty `post` stamps only.

        NOT_APPLIED only when nothing was sent or the API server said no; a silence is UNKNOWN.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        problem = self._problem(intent)
        if problem is not None:
            return Outcome(NOT_APPLIED, problem)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        sent = [False]
        try:
            async with asyncio.timeout(left_s):
                while (outcome := await self._attempt(intent, sent)) is None:
                    pass  # its version changed in between, and only that: look again
                return outcome
        except TimeoutError:
            return Outcome(UNKNOWN if sent[0] else NOT_APPLIED, f"no answer within {left_s:.1f} s")
        except ApiError as error:
            safe = not sent[0] or not error.sent or error.status in _REFUSALS
            return Outcome(NOT_APPLIED if safe else UNKNOWN, str(error))
        except _ODD as error:
            status = UNKNOWN if sent[0] else NOT_APPLIED
            return Outcome(status, f"an odd answer: {error!r:.300}")

    async def _attempt(self, intent: Intent, sent: list[bool]) -> Outcome | None:
        """Look, and patch what was seen; None when its version changed in between.

        Args:
            intent: What is wanted.
            sent: Set to whether a write may have reached the API server and its fate is not known.

        Raises:
            ApiError: The API server said no, or nothing that proves anything.
        """
        sent[0] = False
        obj = await self._api.get(self._path)
        refused = self._refused(intent, obj)
        if refused is None and intent.post:
            refused = await self._forbidden(intent, obj)
        if refused is not None:
            return refused
        patch = self._patch(intent, obj)
        sent[0] = True
        try:
            after = await self._api.patch(self._path, patch)
        except ApiError as error:
            if error.status == _CONFLICT:
                return None
            raise
        return self._judge(intent, after)

    def _problem(self, intent: Intent) -> str | None:
        """Return why levers cannot be set, None if they can."""
        known = self._view.levers
        for lever, value in intent.post:
            if lever not in known:
                return f"unknown lever {lever!r} (known: {', '.join(known)})"
            if why := self._view.problem(lever, value):
                return why
        if intent.post and intent.token is None:
            return "the intent has no token to compare with"
        return None

    def _refused(self, intent: Intent, obj: owner.Object) -> Outcome | None:
        """Return the outcome that an object decides by itself: done before, or out of date."""
        live = self._live(obj)
        if intent.post and live.intent == intent.id and _stands(live, intent):
            return Outcome(DONE, "it had landed before", token=self._token(obj))
        stale = _stamp.refusal(intent, live)
        if stale is not None:
            return stale
        if intent.token is not None and intent.token != self._token(obj):
            text = f"it is at {self._token(obj)} by now, not at {intent.token}"
            return Outcome(NOT_APPLIED, text, conflict=True)
        why = self._view.unfit(obj, intent) if intent.post else ""
        return Outcome(NOT_APPLIED, why) if why else None

    async def _forbidden(self, intent: Intent, obj: owner.Object) -> Outcome | None:
        """Return why somebody else's word is against it, None if nobody's is."""
        owned = await self._view.owners(self._api, obj)
        if owned:
            text = f"{' and '.join(owned)} decides that; change it there, or act through it"
            return Outcome(NOT_APPLIED, text)
        why = await self._view.forbidden(self._api, obj, intent)
        return Outcome(NOT_APPLIED, why) if why else None

    def _patch(self, intent: Intent, obj: owner.Object) -> dict[str, Any]:
        live = self._live(obj)
        after = dict(live.levers) | dict(intent.post)
        meta = {
            "resourceVersion": obj["metadata"]["resourceVersion"],
            "annotations": {STAMP: _stamp.written(intent, live, after)},
        }
        return {"metadata": meta, **(self._view.change(obj, intent) if intent.post else {})}

    def _judge(self, intent: Intent, after: owner.Object) -> Outcome:
        """Say what the object that came back proves."""
        live = self._live(after)
        ours = not intent.post or live.intent == intent.id
        if ours and _stands(live, intent) and (live.epoch or 0) >= intent.epoch:
            return Outcome(DONE, "", token=self._token(after))
        return Outcome(UNKNOWN, f"the API server took it and shows {live}")

    def _live(self, obj: owner.Object) -> Live:
        levers = self._view.values(obj)
        intent, epoch = _stamp.read(_stamped(obj), levers)
        return Live(tuple(sorted(levers.items())), intent, epoch or 0)

    def _token(self, obj: owner.Object) -> str:
        """Return a digest of what anybody may want, and of our stamp."""
        text = json.dumps([*self._view.wanted(obj), _stamped(obj)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stands(live: Live, intent: Intent) -> bool:
    """Return whether everything that is wanted is there."""
    there = dict(live.levers)
    return all(there.get(lever) == value for lever, value in intent.post)


def _stamped(obj: owner.Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(STAMP, ""))


async def listed(api: Api, path: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a list's objects, or who may be the owner when it may not be read.

    Args:
        api: Who is asked.
        path: Of the list; none are found where the server does not know the kind.

    Returns:
        Objects, and owners for people: who may not look for an owner has one.
    """
    try:
        return await api.listed(path), []
    except ApiError as error:
        return [], [f"nobody knows who (of {path.rpartition('/')[2]}: {error})"]


def labelled(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as a query has them.

    >>> labelled([("b", "2"), ("a", "1")])
    'a=1,b=2'
    """
    return ",".join(f"{key}={value}" for key, value in sorted(labels))
