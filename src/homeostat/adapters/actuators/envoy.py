"""Actuator of Envoy: traffic weights and a limit of requests in flight, by runtime keys.

Envoy's admin page overwrites whatever is there: no compare-and-set, no fencing. What this file
adds is care, not a guarantee: it looks before it writes, reads back before it says DONE, and
leaves a stamp among the runtime keys that says whose write it was. A write by anybody else makes
the stamp false, and it then reads as no stamp. All of it is gone when Envoy restarts.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from homeostat.adapters import _guard
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._stamp import (
    DONE,
    NOT_APPLIED,
    UNKNOWN,
    Live,
    Outcome,
)
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Scalar, Snapshot, Stamp

STAMP_KEY: Final = "homeostat.stamp"
_PERCENT: Final = 100
_LIMIT_MAX: Final = 1_000_000_000
_OK: Final = "OK"  # the whole body of a successful write; anything else is an error text
_UNREADABLE = (httpx2.HTTPError, ValueError, KeyError, TypeError)


class EnvoyConfig(BaseModel):
    """Settings of the Envoy actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="envoy", min_length=1, description="The actuator's name.")
    url: _guard.BaseUrl = Field(description="Base URL of Envoy's admin page.")
    weights: Mapping[str, str] = Field(
        default={"b": "traffic.b"},
        description="Pool to the runtime key that holds its share of the traffic in percent.",
    )
    limited_clusters: tuple[str, ...] = Field(
        default=("a", "b"),
        description="Clusters to whose requests in flight `gateway_limit` applies, each by itself.",
    )
    read_timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Longest wait for the runtime page, seconds."
    )


class EnvoyActuator:
    """Reads and writes the runtime keys of one Envoy."""

    def __init__(self, config: EnvoyConfig, *, client: httpx2.AsyncClient | None = None) -> None:
        self._config = config
        self._url = config.url.rstrip("/")
        self._owned = client is None
        self._client = client or _guard.new_client()

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._config.name

    def capabilities(self) -> Capabilities:
        """Say what Envoy can do: neither compare-and-set nor fencing."""
        levers = (*map(names.lever_weight, self._config.weights), names.GATEWAY_LIMIT)
        return Capabilities(
            compare_and_set=False,
            fencing=False,
            levers=levers,
            owner="whoever can reach Envoy's admin port",
            granularity=tuple((lever, 1.0) for lever in levers),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read weights and limit.

        Raises:
            ActuatorError: Envoy could not be read, or its answer makes no sense.
        """
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                live = await self._read()
        except TimeoutError as error:
            raise ActuatorError(
                f"{self.name}: Envoy at {self._url} did not answer within "
                f"{self._config.read_timeout_s:g} s"
            ) from error
        except _UNREADABLE as error:
            raise ActuatorError(f"{self.name}: Envoy at {self._url}: {error!r}") from error
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=(),
            releases=(),
            levers=live.levers,
            stamps=(Stamp(actuator=self.name, token=None, intent=live.intent, epoch=live.epoch),),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Write the intent's levers and the stamp in one request; an empty `post` stamps only.

        NOT_APPLIED only when nothing was sent, or Envoy refused and the read-back agrees. DONE
        only when Envoy said so and the read-back agrees.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections, unless the client is the caller's."""
        if self._owned:
            await self._client.aclose()

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        problem = self._problem(intent.post)
        if problem is not None:
            return Outcome(NOT_APPLIED, problem)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        sent = False
        try:
            async with asyncio.timeout(left_s):
                before = await self._read()
                refused = _stamp.refusal(intent, before)
                if refused is not None:
                    return refused
                sent = True
                answer = await self._post(intent, before)
                return _judge(answer, intent, before, await self._read())
        except TimeoutError:
            status = UNKNOWN if sent else NOT_APPLIED
            return Outcome(status, f"no answer within {left_s:.1f} s")
        except _UNREADABLE as error:
            status = UNKNOWN if sent else NOT_APPLIED
            return Outcome(status, f"{'the answer was lost' if sent else 'not sent'}: {error!r}")

    def _problem(self, post: Levers) -> str | None:
        """Return why levers cannot be set, None if they can."""
        known = self.capabilities().levers
        for name, value in post:
            if name not in known:
                return f"unknown lever {name!r} (known: {', '.join(known)})"
            high = _LIMIT_MAX if name == names.GATEWAY_LIMIT else _PERCENT
            if not _stamp.whole(value, high):
                return f"{name} must be a whole number from 0 to {high}, got {value!r}"
        return None

    async def _post(self, intent: Intent, before: Live) -> httpx2.Response:
        after = dict(before.levers) | dict(intent.post)
        pairs = {STAMP_KEY: _stamp.written(intent, before, after)}
        for name, value in intent.post:
            pairs |= self._keys(name, int(value))
        return await self._client.post(f"{self._url}/runtime_modify", params=pairs, timeout=None)

    def _keys(self, lever: str, value: int) -> dict[str, str]:
        """Return the runtime keys that hold a lever; an empty value takes an override away."""
        if lever != names.GATEWAY_LIMIT:
            return {self._config.weights[lever.removeprefix("weight.")]: str(value)}
        text = str(value) if value else ""
        return {_limit_key(cluster): text for cluster in self._config.limited_clusters}

    async def _read(self) -> Live:
        answer = await self._client.get(
            f"{self._url}/runtime", params={"format": "json"}, timeout=None
        )
        answer.raise_for_status()
        entries = answer.json()["entries"]
        if not isinstance(entries, dict):
            raise TypeError(f"the runtime page's entries are a {type(entries).__name__}")
        levers: dict[str, Scalar] = {
            names.lever_weight(pool): _weight(entries, key)
            for pool, key in self._config.weights.items()
        }
        limits = {
            _whole(key, _value(entries, key) or "0")
            for key in map(_limit_key, self._config.limited_clusters)
        }
        if len(limits) > 1:
            raise ValueError(f"the clusters have different limits: {sorted(limits)}")
        levers[names.GATEWAY_LIMIT] = limits.pop() if limits else 0
        intent, epoch = _stamp.read(_value(entries, STAMP_KEY), levers)
        return Live(tuple(sorted(levers.items())), intent, epoch)


def _limit_key(cluster: str) -> str:
    return f"circuit_breakers.{cluster}.default.max_requests"


def _value(entries: Mapping[str, Any], key: str) -> str:
    """Return a key's value in force, empty if no layer sets it."""
    return str(entries[key]["final_value"]) if key in entries else ""


def _weight(entries: Mapping[str, Any], key: str) -> int:
    """Return a weight.

    Raises:
        KeyError: No layer sets it: then the route's own default holds, which is not shown here.
    """
    text = _value(entries, key)
    if not text:
        raise KeyError(f"no layer sets the runtime key {key}; give it a value in a static layer")
    return _whole(key, text)


def _whole(key: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"runtime key {key} is {text!r}, not a whole number")
    return int(text)


def _judge(answer: httpx2.Response, intent: Intent, before: Live, after: Live) -> Outcome:
    """Say what the answer and the read-back prove together."""
    accepted = answer.status_code == httpx2.codes.OK and answer.text.strip() == _OK
    live = dict(after.levers)
    wrong = {name: live[name] for name, value in intent.post if live[name] != value}
    ours = after.intent == _stamp.stamped(intent, before) and (after.epoch or 0) >= intent.epoch
    if accepted and ours and not wrong:
        return Outcome(DONE, "")
    said = f"Envoy answered {answer.status_code}, and {'OK' if accepted else 'not OK'}"
    refused = 400 <= answer.status_code < 500  # noqa: PLR2004 - HTTP: understood and not done
    if refused and after == before:
        return Outcome(NOT_APPLIED, said)
    return Outcome(UNKNOWN, f"{said}; the read-back shows {wrong or 'another stamp'}")


def build(config: EnvoyConfig, *, client: httpx2.AsyncClient | None = None) -> EnvoyActuator:
    """Return an actuator; a shared `client` stays the caller's to close and must not keep alive."""
    return EnvoyActuator(config, client=client)


PART = Part(
    kind="actuator",
    name="envoy",
    summary="Shifts traffic between pools and limits requests in flight, by Envoy's runtime keys.",
    config=EnvoyConfig,
    build=build,
)
