"""Actuator by webhook: asks somebody else's service for a change, and reads back what came of it.

One signed CloudEvent a change (`dev.homeostat.action.v1`, CloudEvents 1.0, structured JSON). Its id
is the intent's, and the `Idempotency-Key` too: the receiver carries out each one once. What stands
there is read by a GET that the receiver serves; a yes that the read-back does not bear out is no
yes. No compare-and-set: the receiver may look at `pre` and `epoch` and answer 409, but nobody here
relies on it. What a receiver must do is in docs/how-to/connect-a-webhook.md.
"""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from homeostat.adapters import _signed
from homeostat.adapters._signed import NotSentError
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Replica, ReplicaState, Scalar, Snapshot, Stamp

TYPE: Final = "dev.homeostat.action.v1"
_CONFLICT: Final = 409
_ROUNDED: Final = 1e-9  # of a step: what decimals lose as floats
_LOST: Final = 1e-14  # of how many steps there are: some 50 times what a float loses
# Understood, and not done; anything else that is no success proves nothing.
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422, 428})
_ACCEPTED: Final = frozenset({200, 201, 202, 204})
# HOST:PORT and no more: it is put into addresses that are scraped.
_PLACE: Final = r"^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,252}))(:[0-9]{1,5})?$"
_FIRST_PAUSE_S: Final = 0.05  # between read-backs; doubles
_LAST_PAUSE_S: Final = 1.0
_UNREADABLE = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, ValueError)

Address = Annotated[str, AfterValidator(_signed.plain_url)]


class Range(BaseModel):
    """What one lever may be set to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: FiniteFloat
    high: FiniteFloat
    step: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}; swap them")
        return self

    def holds(self, value: Scalar) -> bool:
        """Return whether the lever may be set to a value."""
        return self.steps_to(value) and self.low <= float(value) <= self.high

    def steps_to(self, value: Scalar) -> bool:
        """Return whether a value is a whole number of steps away from `low`, on either side.

        >>> Range(low=0.0, high=1.0, step=0.1).steps_to(0.3)
        True
        >>> Range(low=1, high=8, step=2).steps_to(2)
        False
        """
        if isinstance(value, str):
            return False
        steps = (value - self.low) / self.step
        near = max(_ROUNDED, _LOST * abs(steps))
        return math.isfinite(steps) and abs(steps - round(steps)) <= near


class WebhookConfig(BaseModel):
    """Settings of the webhook actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="webhook", min_length=1, description="The actuator's name.")
    url: Address = Field(description="Where changes are POSTed.")
    state: Address = Field(description="Where the state is read by GET.")
    secret_file: Path = Field(description="File with the signing secret, at least 16 bytes.")
    levers: Mapping[str, Range] = Field(
        min_length=1, description="The levers that may be asked for, each with its range."
    )
    allow: tuple[str, ...] = Field(
        default=(), description="HOST:PORT that may be private, without TLS or on another port."
    )
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for the state, seconds."
    )


class _Answer(BaseModel):
    """Part of what a receiver says; types are taken as they stand, what is not known is left."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Slot(_Answer):
    name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", max_length=253)
    pool: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    state: ReplicaState = Field(strict=False)
    version: str | None = None
    incarnation: int = Field(default=0, ge=0)
    address: str | None = Field(default=None, pattern=_PLACE)


class _State(_Answer):
    deployment: str
    levers: dict[str, int | FiniteFloat | str]
    intent: str | None
    epoch: int | None = Field(ge=0)
    changing: bool = False
    replicas: list[_Slot] = Field(default=[], max_length=10_000)


class WebhookActuator:
    """Asks one receiver."""

    def __init__(
        self, config: WebhookConfig, *, resolve: _signed.Resolve = _signed.resolved
    ) -> None:
        self._config, self._resolve = config, resolve
        self._client = _signed.new_client()

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._config.name

    def capabilities(self) -> Capabilities:
        """Say what can be asked for: neither compare-and-set nor fencing is relied on."""
        ranges = self._config.levers
        return Capabilities(
            compare_and_set=False,
            fencing=False,
            levers=tuple(ranges),
            owner=f"the service behind {self._config.url}, and whoever else tells it what to do",
            granularity=tuple((lever, one.step) for lever, one in ranges.items()),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read the state as the receiver tells it.

        Raises:
            ActuatorError: It could not be read, or makes no sense.
        """
        where = f"{self.name}: {self._config.state}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                state = await self._state(deployment)
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except (NotSentError, *_UNREADABLE) as error:
            raise ActuatorError(f"{where}: {_plain(error)}") from error
        live = self._live(state)
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=tuple(sorted(map(_replica, state.replicas), key=lambda one: one.name)),
            releases=(),
            levers=live.levers,
            stamps=(Stamp(actuator=self.name, token=None, intent=live.intent, epoch=live.epoch),),
            changing=state.changing,
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Ask for the intent's levers, and wait until the state shows them or the deadline is over.

        NOT_APPLIED only when nothing was sent, or the receiver refused and the state agrees. DONE
        only when the receiver said yes and the state shows it.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, now, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def _write(self, intent: Intent, now: TimeNs, left_s: float) -> Outcome:
        problem = self._problem(intent.post)
        if problem is not None:
            return Outcome(NOT_APPLIED, problem)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        sent, said = False, "no answer"
        try:
            async with asyncio.timeout(left_s):
                before = self._live(await self._state(intent.deployment))
                refused = _stamp.refusal(intent, before)
                if refused is not None:
                    return refused
                asked = await self._asking(intent, now)
                sent = True
                status, body = await _signed.answered(self._client, asked)
                said = f"the receiver answered {status} {body[:200]!r}"
                return await self._judged(status, said, intent, before)
        except TimeoutError:
            return Outcome(UNKNOWN if sent else NOT_APPLIED, f"{said} within {left_s:.1f} s")
        except (NotSentError, httpx2.ConnectError) as error:
            # Once something was answered, a connection that fails is the read-back's.
            after = said != "no answer"
            return Outcome(UNKNOWN if after else NOT_APPLIED, f"not sent: {_plain(error)}")
        except _UNREADABLE as error:
            return Outcome(UNKNOWN if sent else NOT_APPLIED, f"{said}: {_plain(error)}")

    def _problem(self, post: Levers) -> str | None:
        """Return why levers cannot be asked for, None if they can."""
        ranges = self._config.levers
        for lever, value in post:
            if lever not in ranges:
                return f"unknown lever {lever!r} (known: {', '.join(ranges)})"
            one = ranges[lever]
            if not one.holds(value):
                return (
                    f"{lever} must be from {one.low:g} to {one.high:g} in steps of {one.step:g}, "
                    f"got {value!r}"
                )
        return None

    async def _judged(self, status: int, said: str, intent: Intent, before: Live) -> Outcome:
        """Say what the answer and the state prove together."""
        if status not in _ACCEPTED:
            after = self._live(await self._state(intent.deployment))
            if status in _REFUSALS | {_CONFLICT} and after == before:
                return Outcome(NOT_APPLIED, said, conflict=status == _CONFLICT)
            return Outcome(UNKNOWN, said)
        pause_s = _FIRST_PAUSE_S
        while not _shows(self._live(await self._state(intent.deployment)), intent, before):
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LAST_PAUSE_S)
        return Outcome(DONE, "")

    async def _asking(self, intent: Intent, now: TimeNs) -> httpx2.Request:
        body = event(intent, now)
        headers = self._signature(body) | {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "idempotency-key": intent.id,
        }
        config = self._config
        return await _signed.request(
            self._client,
            "POST",
            config.url,
            body=body,
            headers=headers,
            allow=config.allow,
            resolve=self._resolve,
        )

    async def _state(self, deployment: str) -> _State:
        config = self._config
        headers = self._signature(_signed.path_of(config.state).encode())
        asked = await _signed.request(
            self._client,
            "GET",
            config.state,
            body=b"",
            headers=headers | {"accept": "application/json"},
            allow=config.allow,
            resolve=self._resolve,
        )
        status, body = await _signed.answered(self._client, asked)
        if status != httpx2.codes.OK:
            raise ValueError(f"status {status}: {body[:200]!r}")
        state = _State.model_validate_json(body)
        if state.deployment != deployment:
            raise ValueError(f"asked for {deployment!r}, told of {state.deployment[:80]!r}")
        return state

    def _signature(self, signed: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        secret = _signed.secret_in(self._config.secret_file)
        return {
            "x-homeostat-timestamp": stamp,
            "x-homeostat-signature": _signed.sign(secret, stamp, signed),
        }

    def _live(self, state: _State) -> Live:
        """Return what is ours of a state; a lever that it does not name has no value."""
        ours = {lever: value for lever, value in state.levers.items() if self._fits(lever, value)}
        return Live(tuple(sorted(ours.items())), state.intent, state.epoch)

    def _fits(self, lever: str, value: Scalar) -> bool:
        one = self._config.levers.get(lever)
        return one is not None and one.steps_to(value)


def event(intent: Intent, now: TimeNs) -> bytes:
    """Return an intent's CloudEvent."""
    data: dict[str, Any] = {
        "action": intent.action_id,
        "deployment": intent.deployment,
        "epoch": intent.epoch,
        "pre": dict(intent.pre),
        "post": dict(intent.post),
        "deadline": _time(intent.deadline),
        "undo": intent.undo,
    }
    said = {
        "specversion": "1.0",
        "type": TYPE,
        "source": f"/homeostat/deployments/{intent.deployment}",
        "id": intent.id,
        "subject": intent.action_id,
        "time": _time(now),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(said, sort_keys=True, ensure_ascii=False).encode()


def _time(at: TimeNs) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat()


def _shows(live: Live, intent: Intent, before: Live) -> bool:
    """Return whether a state is what the intent leaves."""
    values = dict(live.levers)
    there = all(values.get(lever) == value for lever, value in intent.post)
    ours = live.intent == _stamp.stamped(intent, before)
    return there and ours and (live.epoch or 0) >= intent.epoch


def _replica(slot: _Slot) -> Replica:
    return Replica(
        name=slot.name,
        pool=slot.pool,
        version=slot.version,
        state=slot.state,
        incarnation=slot.incarnation,
        address=slot.address,
    )


def _plain(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]


def build(config: WebhookConfig, **outside: Any) -> WebhookActuator:
    """Return an actuator; `outside` is `resolve` of `WebhookActuator`, for tests."""
    return WebhookActuator(config, **outside)


PART = Part(
    kind="actuator",
    name="webhook",
    summary="Asks another service for changes by signed CloudEvents, and reads back its state.",
    config=WebhookConfig,
    build=build,
)
