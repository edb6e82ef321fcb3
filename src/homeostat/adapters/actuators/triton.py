"""Actuator of NVIDIA Triton: how requests are batched, by loading the model anew.

Triton has no knob for a running model: `POST v2/repository/models/NAME/load` with the whole
configuration replaces it, where the server was started with `--model-control-mode=explicit`. That
is treated as a restart: one server after another, each only while all others serve, and a claim of
an epoch writes nothing. Neither compare-and-set nor fencing. The stamp (`_stamp`) is a parameter of
the configuration that is written. It is gone, and so are the values, when the server restarts or
somebody loads the model without a configuration. Nothing is unloaded: the configuration in force
goes with the model, so there would be no way back.

Source: triton-inference-server/server, docs/protocol/extension_model_repository.md at 22675960 and
docs/user_guide/model_management.md at 017a76c5. Triton itself was not to be had where this was
built: a stand-in written from these, its sources and its tests stands for it.
"""

import asyncio
import copy
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters import _signed
from homeostat.adapters._guard import kept_secret
from homeostat.adapters._signed import NotSentError
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.adapters.actuators._triton_api import Access, Server, Sight
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Replica, ReplicaState, Scalar, Snapshot, Stamp

STAMP_KEY: Final = "homeostat.stamp"
_BATCHER: Final = "dynamic_batching"
_DELAY: Final = "max_queue_delay_microseconds"
_SIZE: Final = "max_batch_size"
_US_PER_MS: Final = 1000
_SIZE_MAX: Final = 65_536
_WAIT_MAX_MS: Final = 60_000
_LEVERS: Final = (names.BATCH_MAX, names.BATCH_WAIT)
_UNREADABLE = (NotSentError, httpx2.HTTPError, httpx2.StreamError, OSError, ValueError)

Slot = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
Address = Annotated[str, AfterValidator(_signed.plain_url)]


class TritonConfig(BaseModel):
    """Settings of the Triton actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="triton", min_length=1, description="The actuator's name.")
    servers: Mapping[Slot, Address] = Field(
        min_length=1, max_length=100, description="Replica to the server's HTTP address."
    )
    model: str = Field(pattern=r"^[A-Za-z0-9_.\-]{1,200}$", description="The model's name.")
    pool: str = Field(default="a", min_length=1, description="The pool of all of them.")
    metrics_port: int | None = Field(
        default=8002, ge=1, le=65_535, description="Where each has its page; None for no address."
    )
    key_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9-]{0,100}$",
        description="Header of --http-restricted-api for the model repository.",
    )
    key_file: Path | None = Field(default=None, description="File with what that header holds.")
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for all servers' state, seconds."
    )

    @model_validator(mode="after")
    def _a_key_is_not_said_aloud(self) -> Self:
        for name, url in self.servers.items():
            kept_secret(url, self.key_file)
            if urlsplit(url).query:
                raise ValueError(f"{name}: take what follows ? out of {url}")
        return self


class TritonActuator:
    """Reads and writes one model on some servers."""

    def __init__(
        self, config: TritonConfig, *, resolve: _signed.Resolve = _signed.resolved
    ) -> None:
        self._config = config
        self._client = _signed.new_client()
        self._servers = {
            name: Server(
                Access(url, config.model, config.key_header, config.key_file),
                self._client,
                resolve,
            )
            for name, url in sorted(config.servers.items())
        }

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._config.name

    def capabilities(self) -> Capabilities:
        """Say what Triton can do: neither compare-and-set nor fencing."""
        return Capabilities(
            compare_and_set=False,
            fencing=False,
            levers=_LEVERS,
            owner="whoever loads models on these servers, or restarts them",
            granularity=((names.BATCH_MAX, 1.0),),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read every server; a lever on which they differ is not reported.

        Raises:
            ActuatorError: One could not be read, or its answer makes no sense.
        """
        where = f"{self.name}: Triton"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                sights = await self._sights()
            lives = {name: _live(sight) for name, sight in sights.items()}
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except _UNREADABLE as error:
            raise ActuatorError(f"{where}: {_plain(error)}") from error
        live = _together(list(lives.values()))
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=tuple(self._replica(name, sight) for name, sight in sights.items()),
            releases=(),
            levers=live.levers,
            stamps=(Stamp(actuator=self.name, token=None, intent=live.intent, epoch=live.epoch),),
            changing=any(sight.moving for sight in sights.values()),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Load the model with the intent's values, on one server after another.

        An empty `post` writes nothing: a claim is not worth a reload, and the epoch goes with the
        next change. NOT_APPLIED only when no server was sent anything, or the first refused and its
        state agrees. DONE only when all said yes and show it.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def _sights(self) -> dict[str, Sight]:
        """Return what all servers say, asked side by side; messages name the server."""

        async def one(name: str, server: Server) -> Sight:
            try:
                sight = await server.sight()
                _live(sight)  # what makes no sense is said here, with the server's name
            except _UNREADABLE as error:
                raise ValueError(f"{name}: {_plain(error)}") from error
            return sight

        asked = (one(*named) for named in self._servers.items())
        found: dict[str, Sight] = {}
        # All are waited for, so that none goes on alone when another fails.
        for name, sight in zip(
            self._servers, await asyncio.gather(*asked, return_exceptions=True), strict=True
        ):
            if isinstance(sight, BaseException):
                raise sight
            found[name] = sight
        return found

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        problem = _problem(intent.post)
        if problem:
            return Outcome(NOT_APPLIED, problem)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        sent: list[str] = []
        try:
            async with asyncio.timeout(left_s):
                sights = await self._sights()
                refused = _refused(intent, sights)
                if refused is not None:
                    return refused
                return await self._rolled(intent, sights, sent)
        except TimeoutError:
            return _said(sent, f"no answer within {left_s:.1f} s")
        except _UNREADABLE as error:
            return _said(sent, _plain(error))

    async def _rolled(
        self, intent: Intent, sights: Mapping[str, Sight], sent: list[str]
    ) -> Outcome:
        """Load on one server after another; `sent` names those that have it, or may."""
        for name, server in self._servers.items():
            before = sights[name]
            if _shows(before, intent):
                sent.append(name)  # earlier; loading it again would be a restart for nothing
                continue
            if sent and (idle := _idle(await self._sights())):
                return _said(sent, f"stopped before {name}, because {idle}")
            sent.append(name)
            try:
                answer, words = await server.load(_changed(before, intent))
            except (NotSentError, httpx2.ConnectError) as error:
                sent.pop()
                return _said(sent, f"{name}: not sent: {_plain(error)}")
            after = await server.sight()
            if answer is True and _shows(after, intent) and after.ready:
                continue
            if answer is False and after == before and len(sent) == 1:
                return Outcome(NOT_APPLIED, f"{name}: {words}")
            return Outcome(UNKNOWN, f"{name}: {words}; it does not show what was asked")
        return Outcome(DONE, "")

    def _replica(self, name: str, sight: Sight) -> Replica:
        host = urlsplit(self._config.servers[name]).hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = self._config.metrics_port
        state = ReplicaState.STARTING if sight.moving else ReplicaState.GONE
        return Replica(
            name=name,
            pool=self._config.pool,
            version=None,  # the index numbers versions; which artefact that is, it does not say
            state=ReplicaState.READY if sight.ready else state,
            incarnation=0,
            address=None if port is None else f"{host}:{port}",
        )


def _problem(post: Levers) -> str:
    """Return why levers cannot be set, empty if they can."""
    for lever, value in post:
        if lever not in _LEVERS:
            return f"unknown lever {lever!r} (known: {', '.join(_LEVERS)})"
        if lever == names.BATCH_MAX:
            if not _stamp.whole(value, _SIZE_MAX) or value == 0:
                return f"{lever} must be a whole number from 1 to {_SIZE_MAX}, got {value!r}"
        elif isinstance(value, str) or not 0 <= value <= _WAIT_MAX_MS or not _us(value):
            return (
                f"{lever} must be from 0 to {_WAIT_MAX_MS} milliseconds in whole microseconds, "
                f"got {value!r}"
            )
    return ""


def _us(value: float) -> str:
    """Return milliseconds as Triton's microseconds, empty if that is no whole number."""
    exact = value * _US_PER_MS
    return str(round(exact)) if abs(exact - round(exact)) < 1e-6 else ""  # noqa: PLR2004 - floats


def _refused(intent: Intent, sights: Mapping[str, Sight]) -> Outcome | None:
    """Return why nothing may be sent now, None if it may."""
    for name, sight in sights.items():
        found = _stamp.refusal(intent, _live(sight))
        if found is not None:
            return Outcome(found.status, f"{name}: {found.detail}", conflict=found.conflict)
    idle = _idle(sights) if intent.post else ""
    return Outcome(NOT_APPLIED, idle) if idle else None


def _idle(sights: Mapping[str, Sight]) -> str:
    """Return which server does not serve, empty if all do."""
    found = [name for name, sight in sights.items() if sight.moving or not sight.ready]
    if not found:
        return ""
    return f"{found[0]} does not serve; a reload is like a restart, and all others must"


def _live(sight: Sight) -> Live:
    """Return what one server shows.

    Raises:
        ValueError: A value is no number.
    """
    config = sight.config
    if config is None:
        return Live((), None, None)
    levers: dict[str, Scalar] = {}
    batcher = config.get(_BATCHER)
    size = _count(config, _SIZE)
    if isinstance(batcher, Mapping) and size > 0:  # else nothing is batched, or by the client
        levers = {names.BATCH_MAX: size, names.BATCH_WAIT: _count(batcher, _DELAY) / _US_PER_MS}
    parameters = config.get("parameters")
    kept = parameters.get(STAMP_KEY) if isinstance(parameters, Mapping) else None
    text = kept.get("string_value", "") if isinstance(kept, Mapping) else ""
    intent, epoch = _stamp.read(str(text), levers)
    return Live(tuple(sorted(levers.items())), intent, epoch)


def _together(lives: list[Live]) -> Live:
    """Return what all servers show: what they differ in is unknown, the epoch is the highest."""
    first, *others = [dict(live.levers) for live in lives]
    levers = {
        lever: value
        for lever, value in first.items()
        if all(other.get(lever) == value for other in others)
    }
    intents = {live.intent for live in lives}
    epochs = [live.epoch for live in lives if live.epoch is not None]
    return Live(
        tuple(sorted(levers.items())),
        intents.pop() if len(intents) == 1 else None,
        max(epochs, default=None),
    )


def _count(said: Mapping[str, Any], key: str) -> int:
    """Return a number of the configuration; JSON of 64-bit numbers may be text, absent is 0.

    Raises:
        ValueError: It is none.
    """
    value = said.get(key, 0)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{key} is {value!r}, not a whole number")
    return value


def _shows(sight: Sight, intent: Intent) -> bool:
    """Return whether a server shows what an intent leaves."""
    live = _live(sight)
    values = dict(live.levers)
    there = all(values.get(lever) == value for lever, value in intent.post)
    ours = not intent.post or live.intent == intent.id
    return there and ours and (not intent.post or (live.epoch or 0) >= intent.epoch)


def _changed(sight: Sight, intent: Intent) -> dict[str, Any]:
    """Return the configuration in force with the intent's values and stamp; all else as it is."""
    before, config = _live(sight), copy.deepcopy(dict(sight.config or {}))
    wanted = dict(before.levers) | dict(intent.post)
    size, delay = int(wanted[names.BATCH_MAX]), int(_us(float(wanted[names.BATCH_WAIT])))
    config[_SIZE], config[_BATCHER][_DELAY] = size, delay
    # As they will be read: 5 and 5.0 have different digests.
    read = {names.BATCH_MAX: size, names.BATCH_WAIT: delay / _US_PER_MS}
    stamp = _stamp.written(intent, before, read)
    parameters = dict(config.get("parameters") or {})
    config["parameters"] = parameters | {STAMP_KEY: {"string_value": stamp}}
    return config


def _said(sent: list[str], text: str) -> Outcome:
    if not sent:
        return Outcome(NOT_APPLIED, text)
    return Outcome(UNKNOWN, f"{', '.join(sent)} may have it: {text}")


def _plain(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]


def build(config: TritonConfig, **outside: Any) -> TritonActuator:
    """Return an actuator; `outside` is `resolve` of `TritonActuator`, for tests."""
    return TritonActuator(config, **outside)


PART = Part(
    kind="actuator",
    name="triton",
    summary="Sets how Triton batches a model's requests, by loading the model anew.",
    config=TritonConfig,
    build=build,
)
