"""Trainer by an MLflow registry: an order is a tag of the registered model, a version its answer.

MLflow trains nothing. A pipeline of yours watches the model's tags `homeostat.request.KEY`, trains,
and registers a version with the tag `homeostat.request` = KEY (or from a run that carries it). Here
that version is found, tagged with what became of it, and an alias moved to it and back. There is
no compare-and-set in MLflow: an alias is read, compared and then moved, and somebody may come in
between. How to set the other side up is in docs/how-to/retrain.md.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

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
from homeostat.adapters.trainers._mlflow_api import (
    MlflowConfig,
    Model,
    RefusedError,
    Registry,
    Run,
    Version,
)
from homeostat.base.errors import TrainerError
from homeostat.base.intent import Receipt
from homeostat.base.part import Part
from homeostat.base.training import (
    TrainingOrder,
    TrainingPhase,
    TrainingSight,
    VersionMark,
    is_key,
    is_version,
)
from homeostat.base.units import SECOND, TimeNs

REQUEST: Final = "homeostat.request"
VERDICT: Final = "homeostat.verdict"
REASON: Final = "homeostat.reason"
# The server understood, and did not do it; anything else that is no yes proves nothing.
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 413, 415, 422, 428})
_ENDED: Final = frozenset({"FAILED", "KILLED"})
_RUNS: Final = 5  # of one order whose versions are looked for
_PAUSE_S: Final = 0.1
_AGREES_S: Final = 1.0


class MlflowTrainer:
    """Asks for trainings of one registered model."""

    def __init__(
        self, config: MlflowConfig, *, resolve: _signed.Resolve = _signed.resolved
    ) -> None:
        self._config = config
        self.registry = Registry(config, resolve=resolve)

    @property
    def name(self) -> str:
        """The trainer's name in the configuration."""
        return self._config.name

    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        """Tag the model with the order, and wait until the tag is read back."""
        started = time.monotonic_ns()
        tag, value = f"{REQUEST}.{order.key}", _ordered(order)

        async def stands() -> bool:
            return (await self.registry.model()).tag(tag) is not None

        async def write() -> None:
            await self.registry.tag_model(tag, value)

        outcome = await _done(stands, write, left_s(order.deadline, now))
        return receipt(order.intent_id, outcome, now, started)

    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        """Say how an order stands, by the model's tags, versions and the experiment's runs.

        Raises:
            TrainerError: It could not be read, or makes no sense.
        """
        where = f"{self.name}: {self._config.url} of {deployment}"
        if not is_key(key):
            raise TrainerError(f"{where}: {key!r} is no key of an order")
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                return await self._sight(key, now)
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise TrainerError(f"{where} did not answer within {limit_s:g} s") from error
        except (NotSentError, *UNREADABLE) as error:
            raise TrainerError(f"{where}: {plain(error)}") from error

    async def mark(self, mark: VersionMark, now: TimeNs) -> Receipt:
        """Tag the version with what became of it, and move the alias if nobody else has."""
        started = time.monotonic_ns()
        moves = self._config.alias != "" and mark.alias_to is not None
        reason, before = printable(mark.reason) or "-", ("", "")

        async def stands() -> bool:
            if moves:
                names = (await self.registry.model()).named(self._config.alias)
                if names not in {mark.alias_from, mark.alias_to}:
                    raise _MovedError(
                        f"{self._config.alias} names {printable(names) or 'nothing'} by now, not "
                        f"{mark.alias_from or 'nothing'}: somebody moved it"
                    )
                if names != mark.alias_to:
                    return False
            version = await self.registry.version(mark.version)
            return version.tag(VERDICT) == mark.verdict.value

        async def begun() -> bool:
            model = await self.registry.model()
            if moves and model.named(self._config.alias) != mark.alias_from:
                return True
            version = await self.registry.version(mark.version)
            return (version.tag(REASON), version.tag(VERDICT)) != before

        async def write() -> None:
            nonlocal before
            found = await self.registry.version(mark.version)
            before = (found.tag(REASON), found.tag(VERDICT))
            # What is refused most often comes first: nothing of the rest is there then.
            if moves:
                await self.registry.move_alias(self._config.alias, mark.alias_to or "")
            await self.registry.tag_version(mark.version, REASON, reason)
            await self.registry.tag_version(mark.version, VERDICT, mark.verdict.value)

        outcome = await _done(stands, write, left_s(mark.deadline, now), begun=begun)
        return receipt(mark.id, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self.registry.close()

    async def _sight(self, key: str, now: TimeNs) -> TrainingSight:
        model = await self.registry.model()
        if model.tag(f"{REQUEST}.{key}") is None:
            return self._said(key, TrainingPhase.ABSENT, now, model)
        found = await self.registry.versions(f"tag.`{REQUEST}` = '{key}'")
        versions = [one for one in found if one.tag(REQUEST) == key]
        runs: Sequence[Run] = ()
        if self._config.experiment:
            runs = await self.registry.runs(self._config.experiment, REQUEST, key)
        for run in runs[:_RUNS] if not versions else ():
            found = await self.registry.versions(f"run_id = '{_plain_id(run.info.run_id)}'")
            # What says that it came of another order did.
            versions += [
                one
                for one in found
                if one.run_id == run.info.run_id and one.tag(REQUEST) in {"", key}
            ]
        phase, detail = _phase(versions, runs)
        version = versions[0] if phase is TrainingPhase.MADE else None
        return self._said(key, phase, now, model, version=version, detail=detail)

    def _said(
        self,
        key: str,
        phase: TrainingPhase,
        now: TimeNs,
        model: Model,
        *,
        version: Version | None = None,
        detail: str = "",
    ) -> TrainingSight:
        alias = model.named(self._config.alias) if self._config.alias else None
        return TrainingSight(
            key=key,
            phase=phase,
            at=now,
            version="" if version is None else version.version,
            detail=detail,
            alias=alias if not alias or is_version(alias) else None,
            verdict="" if version is None else printable(version.tag(VERDICT)),
        )


class _MovedError(Exception):
    """The alias is not where it was."""


async def _done(
    stands: Callable[[], Awaitable[bool]],
    write: Callable[[], Awaitable[None]],
    within_s: float,
    *,
    begun: Callable[[], Awaitable[bool]] | None = None,
) -> Outcome:
    """Write unless it stands there already; return what the answer and the read-back prove.

    Args:
        stands: Whether all of it is there.
        write: Asks for it, by one request or several.
        within_s: Seconds until the deadline.
        begun: Whether anything of it is there; None where one request is all of it.
    """
    if within_s <= 0.0:
        return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
    sent, said = False, ""
    try:
        async with asyncio.timeout(within_s):
            if await stands():
                return Outcome(DONE, "")
            sent = True
            await write()
            said = "the server said yes; "
            return await _read_back(stands)
    except _MovedError as error:
        said, conflict = str(error), not sent
        return Outcome(UNKNOWN if sent else NOT_APPLIED, said, conflict=conflict)
    except TimeoutError:
        said = f"{said}no answer within {within_s:.1f} s"
    except (NotSentError, *UNREADABLE) as error:
        # Of several requests an earlier one may have landed.
        said = f"{said}{plain(error)}"
        if sent and isinstance(error, RefusedError) and error.status in _REFUSALS:
            return await _refused(begun or stands, said)
    return Outcome(UNKNOWN if sent else NOT_APPLIED, said)


async def _read_back(stands: Callable[[], Awaitable[bool]]) -> Outcome:
    while not await stands():  # noqa: ASYNC110 - it is the server's to say, and it tells nobody
        await asyncio.sleep(_PAUSE_S)
    return Outcome(DONE, "")


async def _refused(begun: Callable[[], Awaitable[bool]], said: str) -> Outcome:
    """Return what a no is worth: it is believed where nothing of what was asked for is there."""
    try:
        async with asyncio.timeout(_AGREES_S):
            is_there = await begun()
    except (TimeoutError, NotSentError, _MovedError, *UNREADABLE):
        return Outcome(UNKNOWN, said)
    return Outcome(UNKNOWN if is_there else NOT_APPLIED, said)


def _phase(versions: list[Version], runs: Sequence[Run]) -> tuple[TrainingPhase, str]:
    """Return where a training stands, by what was registered and what ran."""
    if len(versions) > 1:
        named = ", ".join(printable(one.version) for one in versions[:5])
        return TrainingPhase.UNKNOWN, f"several versions of one order: {named}"
    if versions:
        return _registered(versions[0])
    if not runs:
        return TrainingPhase.TAKEN, "no run and no version of it yet"
    if all(run.info.status in _ENDED for run in runs):
        return TrainingPhase.FAILED, f"its run ended {printable(runs[0].info.status)}"
    status = printable(runs[0].info.status)
    return TrainingPhase.RUNNING, f"its run is {status}, no version is registered yet"


def _registered(version: Version) -> tuple[TrainingPhase, str]:
    if not is_version(version.version):
        return TrainingPhase.UNKNOWN, "a version of characters that no version has"
    match version.status:
        case "READY":
            return TrainingPhase.MADE, ""
        case "FAILED_REGISTRATION":
            return TrainingPhase.FAILED, "its registration failed"
        case "PENDING_REGISTRATION":
            return TrainingPhase.RUNNING, "its registration is under way"
        case other:
            return TrainingPhase.UNKNOWN, f"its status is {printable(other)!r}"


def _plain_id(run_id: str) -> str:
    """Return a run's id if it may stand in a filter.

    Raises:
        ValueError: It has characters that no id has.
    """
    if not run_id.isalnum() or not run_id.isascii():
        raise ValueError(f"a run's id of characters that no id has: {printable(run_id)!r}")
    return run_id


def _ordered(order: TrainingOrder) -> str:
    """Return an order as the value of a tag: JSON, well below the 5,000 bytes that MLflow takes."""
    data: dict[str, Any] = {
        "deployment": order.deployment,
        "action": order.action_id,
        "incident": order.incident_id,
        "reason": printable("; ".join(order.reason)),
        "approvers": [printable(one)[:100] for one in order.approvers[:5]],
        "data_from": _time(order.data_from),
        "data_to": _time(order.data_to),
        "parent": order.parent,
        "due": _time(order.due),
    }
    return json.dumps(data, sort_keys=True)


def _time(at: TimeNs) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat()


def build(config: MlflowConfig, **outside: Any) -> MlflowTrainer:
    """Return a trainer; `outside` is `resolve` of `MlflowTrainer`, for tests."""
    return MlflowTrainer(config, **outside)


PART = Part(
    kind="trainer",
    name="mlflow",
    summary="Asks for trainings by a tag in an MLflow registry, and finds the version they made.",
    config=MlflowConfig,
    build=build,
)
