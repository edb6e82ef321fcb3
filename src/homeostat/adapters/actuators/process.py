"""Actuator of the process host: replicas, versions, batching and drain, by compare-and-set.

A client of the host's HTTP API and nothing more. The host refuses what is out of date by itself;
this file's duty is to say honestly what became of a write: only an answer is an answer.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import httpx2
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from homeostat.adapters import _guard
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Release, Replica, ReplicaState, Snapshot, Stamp

LEVERS: Final = (
    "replicas.",
    "version.",
    "incarnation.",
    "drained.",
    names.BATCH_MAX,
    names.BATCH_WAIT,
    names.CONCURRENCY,
    *(names.lever_own(setting, "") for setting in names.OF_EACH),
)
_WHOLE: Final = (
    "replicas.",
    "incarnation.",
    "drained.",
    *names.OF_EACH,
    *(names.lever_own(setting, "") for setting in names.OF_EACH),
)
ANY_REVISION: Final = "*"  # a claim changes no lever, so it need not rest on a reading
_CONFLICTS: Final = frozenset({403, 409})  # an older epoch; an old revision
_REFUSALS: Final = frozenset({400, 401, 404, 405, 413, 422, 428})  # understood, and not done


_DONE: Final = ReceiptStatus.DONE
_NOT_APPLIED: Final = ReceiptStatus.NOT_APPLIED
_UNKNOWN: Final = ReceiptStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: ReceiptStatus
    detail: str
    token: str | None = None
    conflict: bool = False


class ProcessConfig(BaseModel):
    """Settings of the process actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="process", min_length=1, description="The actuator's name.")
    url: _guard.BaseUrl = Field(description="Base URL of the host's API.")
    read_timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Longest wait for the state, seconds."
    )


class _Answer(BaseModel):
    """Part of the host's answer; types are taken as they stand, nothing is converted."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Slot(_Answer):
    name: str
    pool: str
    version: str | None
    state: ReplicaState
    incarnation: int = Field(ge=0)
    port: int | None
    started_at_ns: int | None
    memory_bytes: int | None
    memory_limit_bytes: int | None


class _Release(_Answer):
    pool: str
    version: str
    since_ns: int


class _State(_Answer):
    revision: int = Field(ge=0)
    epoch: int = Field(ge=0)
    intent: str | None
    levers: dict[str, int | FiniteFloat | str]
    slots: list[_Slot]
    releases: list[_Release]
    spares: int = Field(ge=0)
    changing: bool


class ProcessActuator:
    """Reads and writes one process host."""

    def __init__(self, config: ProcessConfig, *, client: httpx2.AsyncClient | None = None) -> None:
        self._name = config.name
        self._url = config.url.rstrip("/")
        self._read_timeout_s = config.read_timeout_s
        self._owned = client is None
        self._client = client or _guard.new_client()

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._name

    def capabilities(self) -> Capabilities:
        """Say what the host can do: compare-and-set, fencing by epoch, settings of one slot."""
        return Capabilities(
            compare_and_set=True,
            fencing=True,
            levers=LEVERS,
            owner="people and pipelines that write to the host without an epoch",
            granularity=tuple((lever, 1.0) for lever in _WHOLE),
            one_first=names.OF_EACH,
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read slots, levers, releases and the stamp.

        Raises:
            ActuatorError: The host could not be read, or its answer makes no sense.
        """
        try:
            async with asyncio.timeout(self._read_timeout_s):
                answer = await self._client.get(f"{self._url}/v1/state", timeout=None)
            answer.raise_for_status()
            return _snapshot(
                _State.model_validate_json(answer.content), self._name, deployment, now
            )
        except TimeoutError as error:
            raise ActuatorError(
                f"{self._name}: the host at {self._url} did not answer within "
                f"{self._read_timeout_s:g} s"
            ) from error
        except httpx2.HTTPError as error:
            raise ActuatorError(f"{self._name}: host at {self._url}: {error!r}") from error
        except ValueError as error:
            raise ActuatorError(
                f"{self._name}: the host at {self._url} answered what is no state: {_wrong(error)}"
            ) from error

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Write the intent's levers against its token; an empty `post` claims the epoch.

        NOT_APPLIED only when nothing was sent or the host said no; every silence is UNKNOWN.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return Receipt(
            intent_id=intent.id,
            status=outcome.status,
            at=TimeNs(now + time.monotonic_ns() - started),
            token=outcome.token,
            detail=outcome.detail,
            conflict=outcome.conflict,
        )

    async def close(self) -> None:
        """Release connections, unless the client is the caller's."""
        if self._owned:
            await self._client.aclose()

    async def _write(self, intent: Intent, left_s: float) -> _Outcome:
        if left_s <= 0.0:
            return _Outcome(_NOT_APPLIED, "the deadline was over before anything was sent")
        token = intent.token if intent.post else intent.token or ANY_REVISION
        if token is None:
            return _Outcome(_NOT_APPLIED, "the intent has no token to compare with")
        headers = {
            "If-Match": token,
            "X-Homeostat-Epoch": str(intent.epoch),
            "X-Homeostat-Intent": intent.id,
        }
        body = {"levers": dict(intent.post)}
        try:
            async with asyncio.timeout(left_s):
                answer = await self._client.patch(
                    f"{self._url}/v1/state", json=body, headers=headers, timeout=None
                )
        except httpx2.ConnectError as error:
            return _Outcome(_NOT_APPLIED, f"nothing was sent: {error!r}")
        except TimeoutError:
            return _Outcome(_UNKNOWN, f"no answer within {left_s:.1f} s")
        except httpx2.HTTPError as error:
            return _Outcome(_UNKNOWN, f"the answer was lost: {error!r}")
        return _judge(answer)


def _judge(answer: httpx2.Response) -> _Outcome:
    """Say what an HTTP answer proves."""
    status = answer.status_code
    if status == httpx2.codes.OK:
        token = _new_token(answer)
        if token is None:
            return _Outcome(_UNKNOWN, "an answer that proves nothing: it names no revision")
        return _Outcome(_DONE, "", token=token)
    detail = f"status {status}{_reason(answer)}"
    if status in _CONFLICTS | _REFUSALS:
        return _Outcome(_NOT_APPLIED, detail, conflict=status in _CONFLICTS)
    return _Outcome(_UNKNOWN, detail)


def _new_token(answer: httpx2.Response) -> str | None:
    try:
        revision = answer.json()["revision"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(revision) if isinstance(revision, int) else None


def _reason(answer: httpx2.Response) -> str:
    """Return what the host says of a refusal; nothing else that answers is repeated."""
    try:
        return f": {str(answer.json()['error'])[:300]}"
    except (ValueError, KeyError, TypeError):
        return ""


def _wrong(error: ValueError) -> str:
    """Return what is wrong with a state, and where, without what was there."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:3])


def _snapshot(state: _State, name: str, deployment: str, now: TimeNs) -> Snapshot:
    stamp = Stamp(actuator=name, token=str(state.revision), intent=state.intent, epoch=state.epoch)
    return Snapshot(
        deployment=deployment,
        observed_at=now,
        replicas=tuple(sorted(map(_replica, state.slots), key=lambda one: one.name)),
        releases=tuple(
            Release(pool=one.pool, version=one.version, since=TimeNs(one.since_ns))
            for one in state.releases
        ),
        levers=tuple(sorted(state.levers.items())),
        stamps=(stamp,),
        spares=state.spares,
        changing=state.changing,
    )


def _replica(slot: _Slot) -> Replica:
    return Replica(
        name=slot.name,
        pool=slot.pool,
        version=slot.version,
        state=slot.state,
        incarnation=slot.incarnation,
        started_at=None if slot.started_at_ns is None else TimeNs(slot.started_at_ns),
        memory_bytes=slot.memory_bytes,
        memory_limit_bytes=slot.memory_limit_bytes,
        # The host serves this machine only, and so do its processes.
        address=None if slot.port is None else f"127.0.0.1:{slot.port}",
    )


def build(config: ProcessConfig, *, client: httpx2.AsyncClient | None = None) -> ProcessActuator:
    """Return an actuator; a shared `client` stays the caller's to close and must not keep alive."""
    return ProcessActuator(config, client=client)


PART = Part(
    kind="actuator",
    name="process",
    summary="Changes model-server processes through their host: replicas, versions, batching.",
    config=ProcessConfig,
    build=build,
)
