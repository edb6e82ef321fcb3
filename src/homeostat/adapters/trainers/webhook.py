"""Trainer by webhook: asks somebody else's pipeline for a training, and reads back how it stands.

One signed CloudEvent an order (`dev.homeostat.training.v1`), its id the order's key and the
`Idempotency-Key` too: the receiver trains once for each. What stands there is a GET of
`?key=KEY` that the receiver serves; a yes that the read-back does not bear out is no yes. What
became of a version is a second event (`dev.homeostat.version.v1`). What a receiver must do is in
docs/how-to/retrain.md.
"""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from homeostat.adapters import _signed
from homeostat.adapters._signed import NotSentError
from homeostat.adapters.trainers._answer import (
    DONE,
    NOT_APPLIED,
    UNKNOWN,
    UNREADABLE,
    Outcome,
    left_s,
    plain,
    printable,
    receipt,
)
from homeostat.base.errors import TrainerError
from homeostat.base.intent import Receipt
from homeostat.base.part import Part
from homeostat.base.training import (
    TrainingOrder,
    TrainingPhase,
    TrainingSight,
    VersionMark,
    is_version,
)
from homeostat.base.units import SECOND, TimeNs

ORDER: Final = "dev.homeostat.training.v1"
MARK: Final = "dev.homeostat.version.v1"
_CONFLICT: Final = 409
# Understood, and not done; anything else that is no success proves nothing.
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422, 428})
_ACCEPTED: Final = frozenset({200, 201, 202, 204})
_FIRST_PAUSE_S: Final = 0.05  # between read-backs; doubles
_LAST_PAUSE_S: Final = 1.0


def _without_query(url: str) -> str:
    if urlsplit(_signed.plain_url(url)).query:
        raise ValueError(f"{url!r}: take the query out; ?key=KEY is added")
    return url


Address = Annotated[str, AfterValidator(_signed.plain_url)]


class WebhookTrainerConfig(BaseModel):
    """Settings of the webhook trainer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="webhook", min_length=1, description="The trainer's name.")
    url: Address = Field(description="Where orders are POSTed.")
    state: Annotated[str, AfterValidator(_without_query)] = Field(
        description="Where an order is read by GET, with ?key=KEY."
    )
    secret_file: Path = Field(description="File with the signing secret, at least 16 bytes.")
    allow: tuple[str, ...] = Field(
        default=(), description="HOST:PORT that may be private, without TLS or on another port."
    )
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for the state, seconds."
    )


class _State(BaseModel):
    """What a receiver says of one order; types as they stand, what is not known is left."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    deployment: str
    key: str
    phase: TrainingPhase = Field(strict=False)
    version: str = Field(default="", max_length=200)
    detail: str = Field(default="", max_length=10_000)
    alias: str | None = Field(default=None, max_length=200)
    verdict: str = Field(default="", max_length=200)


class WebhookTrainer:
    """Asks one receiver."""

    def __init__(
        self, config: WebhookTrainerConfig, *, resolve: _signed.Resolve = _signed.resolved
    ) -> None:
        self._config, self._resolve = config, resolve
        self._client = _signed.new_client()

    @property
    def name(self) -> str:
        """The trainer's name in the configuration."""
        return self._config.name

    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        """Ask for one training, and wait until the state shows it or the deadline is over."""
        started, within = time.monotonic_ns(), left_s(order.deadline, now)
        send = _Sending(self, order.deployment, order.key, within)
        body = event(ORDER, order.key, order.deployment, now, _ordered(order))
        outcome = await send.until(body, order.key, shows=lambda said: said.phase in _HAS_IT)
        return receipt(order.intent_id, outcome, now, started)

    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        """Say how an order stands, as the receiver tells it.

        Raises:
            TrainerError: It could not be read, or makes no sense.
        """
        where = f"{self.name}: {self._config.state}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                said = await self.state(deployment, key)
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise TrainerError(f"{where} did not answer within {limit_s:g} s") from error
        except (NotSentError, *UNREADABLE) as error:
            raise TrainerError(f"{where}: {plain(error)}") from error
        return _sight(said, now)

    async def mark(self, mark: VersionMark, now: TimeNs) -> Receipt:
        """Tell the receiver what became of a version, and wait until the state shows it."""
        started, within = time.monotonic_ns(), left_s(mark.deadline, now)
        send = _Sending(self, mark.deployment, mark.key, within)
        body = event(MARK, mark.id, mark.deployment, now, _marked(mark))
        outcome = await send.until(
            body,
            mark.id,
            shows=lambda said: _shows(said, mark),
            stands_in_the_way=lambda said: _moved(said, mark),
        )
        return receipt(mark.id, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def state(self, deployment: str, key: str) -> _State:
        """Return what the receiver says of one order.

        Raises:
            NotSentError: Nothing was asked.
            ValueError: The answer is none.
        """
        url = f"{self._config.state}?key={quote(key, safe='')}"
        signed = self._signature(_signed.path_of(url).encode())
        asked = await self._request("GET", url, b"", signed | {"accept": "application/json"})
        status, body = await _signed.answered(self._client, asked)
        if status != httpx2.codes.OK:
            raise ValueError(f"status {status}: {printable(body[:200])}")
        said = _State.model_validate_json(body)
        if (said.deployment, said.key) != (deployment, key):
            raise ValueError(
                f"asked for {key!r} of {deployment!r}, told of {printable(said.key)!r} of "
                f"{printable(said.deployment)!r}"
            )
        return said

    async def post(self, body: bytes, key: str) -> tuple[int, bytes]:
        """Send one event and return the status and the body of the answer."""
        headers = self._signature(body) | {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "idempotency-key": key,
        }
        asked = await self._request("POST", self._config.url, body, headers)
        return await _signed.answered(self._client, asked)

    async def _request(
        self, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> httpx2.Request:
        return await _signed.request(
            self._client,
            method,
            url,
            body=body,
            headers=headers,
            allow=self._config.allow,
            resolve=self._resolve,
        )

    def _signature(self, signed: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        secret = _signed.secret_in(self._config.secret_file)
        return {
            "x-homeostat-timestamp": stamp,
            "x-homeostat-signature": _signed.sign(secret, stamp, signed),
        }


class _Sending:
    """One request, and what is known of it so far."""

    def __init__(self, trainer: WebhookTrainer, deployment: str, key: str, within_s: float) -> None:
        self._trainer, self._deployment, self._key = trainer, deployment, key
        self._within_s, self._sent, self._said = within_s, False, "no answer"

    async def until(
        self,
        body: bytes,
        key: str,
        *,
        shows: Callable[[_State], bool],
        stands_in_the_way: Callable[[_State], str] = lambda _: "",
    ) -> Outcome:
        """Send unless it stands there already; return what the answer and the state prove."""
        if self._within_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        try:
            async with asyncio.timeout(self._within_s):
                before = await self._state()
                if shows(before):
                    return Outcome(DONE, "")  # sent before, and taken
                if problem := stands_in_the_way(before):
                    return Outcome(NOT_APPLIED, problem, conflict=True)
                status = await self._post(body, key)
                return await self._judged(status, before, shows)
        except TimeoutError:
            outcome = UNKNOWN if self._sent else NOT_APPLIED
            return Outcome(outcome, f"{self._said} within {self._within_s:.1f} s")
        except (NotSentError, httpx2.ConnectError) as error:
            # Once something was answered, a connection that fails is the read-back's.
            after = self._said != "no answer"
            return Outcome(UNKNOWN if after else NOT_APPLIED, f"not sent: {plain(error)}")
        except UNREADABLE as error:
            outcome = UNKNOWN if self._sent else NOT_APPLIED
            return Outcome(outcome, f"{self._said}: {plain(error)}")

    async def _state(self) -> _State:
        return await self._trainer.state(self._deployment, self._key)

    async def _post(self, body: bytes, key: str) -> int:
        self._sent = True
        status, answer = await self._trainer.post(body, key)
        self._said = f"the receiver answered {status} {printable(answer[:200])}"
        return status

    async def _judged(
        self, status: int, before: _State, shows: Callable[[_State], bool]
    ) -> Outcome:
        if status not in _ACCEPTED:
            after = await self._state()
            if status in _REFUSALS | {_CONFLICT} and after == before:
                return Outcome(NOT_APPLIED, self._said, conflict=status == _CONFLICT)
            return Outcome(UNKNOWN, self._said)
        pause_s = _FIRST_PAUSE_S
        while not shows(await self._state()):
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LAST_PAUSE_S)
        return Outcome(DONE, "")


_HAS_IT: Final = frozenset({
    TrainingPhase.TAKEN,
    TrainingPhase.RUNNING,
    TrainingPhase.MADE,
    TrainingPhase.FAILED,
})


def event(kind: str, name: str, deployment: str, now: TimeNs, data: dict[str, Any]) -> bytes:
    """Return a CloudEvent.

    Args:
        kind: Its type.
        name: Its id, which is the idempotency key too.
        deployment: The managed model's name.
        now: The time.
        data: What it says.
    """
    said = {
        "specversion": "1.0",
        "type": kind,
        "source": f"/homeostat/deployments/{deployment}",
        "id": name,
        "subject": deployment,
        "time": _time(now),
        "datacontenttype": "application/json",
        "data": {"deployment": deployment, **data},
    }
    return json.dumps(said, sort_keys=True, ensure_ascii=False).encode()


def _ordered(order: TrainingOrder) -> dict[str, Any]:
    return {
        "key": order.key,
        "action": order.action_id,
        "incident": order.incident_id,
        "reason": list(order.reason),
        "approvers": list(order.approvers),
        "data_from": _time(order.data_from),
        "data_to": _time(order.data_to),
        "parent": order.parent,
        "epoch": order.epoch,
        "due": _time(order.due),
    }


def _marked(mark: VersionMark) -> dict[str, Any]:
    return {
        "key": mark.key,
        "version": mark.version,
        "verdict": mark.verdict.value,
        "reason": mark.reason,
        "alias_from": mark.alias_from,
        "alias_to": mark.alias_to,
    }


def _shows(said: _State, mark: VersionMark) -> bool:
    moved = mark.alias_to is None or said.alias == mark.alias_to
    return said.version == mark.version and said.verdict == mark.verdict.value and moved


def _moved(said: _State, mark: VersionMark) -> str:
    """Return why the alias may not be moved, empty if it may: somebody else may have moved it."""
    if mark.alias_to is None or said.alias in {mark.alias_from, mark.alias_to}:
        return ""
    return f"the alias names {said.alias!r} by now, not {mark.alias_from!r}: somebody moved it"


def _sight(said: _State, now: TimeNs) -> TrainingSight:
    """Return what is said of an order; a version without MADE, or none with it, is no answer."""
    phase, detail = said.phase, printable(said.detail)
    if (phase is TrainingPhase.MADE) != (said.version != ""):
        phase, detail = TrainingPhase.UNKNOWN, f"{phase.value} with version {said.version!r}"
    elif said.version and not is_version(said.version):
        phase, detail = TrainingPhase.UNKNOWN, "a version of characters that no version has"
    made = phase is TrainingPhase.MADE
    return TrainingSight(
        key=said.key,
        phase=phase,
        at=now,
        version=said.version if made else "",
        detail=printable(detail),
        alias=said.alias if said.alias is None or _is_name(said.alias) else None,
        verdict=printable(said.verdict),
    )


def _is_name(alias: str) -> bool:
    return alias == "" or is_version(alias)


def _time(at: TimeNs) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat()


def build(config: WebhookTrainerConfig, **outside: Any) -> WebhookTrainer:
    """Return a trainer; `outside` is `resolve` of `WebhookTrainer`, for tests."""
    return WebhookTrainer(config, **outside)


PART = Part(
    kind="trainer",
    name="webhook",
    summary="Asks another service for trainings by signed CloudEvents, and reads how they stand.",
    config=WebhookTrainerConfig,
    build=build,
)
