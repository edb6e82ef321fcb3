"""A trainer's orders: each key once, one at a time, and what came of every one.

The contract is that of docs/how-to/retrain.md. Who may order was seen before (`trainer`); what an
order means is `train`, which returns a version or raises with the words that the controller reads.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from homeostat.base.errors import HomeostatError
from homeostat.base.training import TrainingPhase, is_key, is_version

log = structlog.get_logger()

ORDERS_MAX: Final = 100  # remembered; a demo that orders more is broken
_DETAIL_MAX: Final = 2_000
TAKEN: Final = 202
DONE: Final = 200
NOT_FOUND: Final = 404
CONFLICT: Final = 409
FULL: Final = 507


class NoVersionError(HomeostatError):
    """A training that ended without a version; its words are told to whoever ordered it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one order asks for.

    Attributes:
        key: Its key.
        parent: The version that serves.
        data_from: Beginning of the data, epoch seconds.
        data_to: End of it, epoch seconds.
        reason: Why, one sentence each.
    """

    key: str
    parent: str
    data_from: float
    data_to: float
    reason: tuple[str, ...]


class Orders:
    """Orders by key, which version the serving alias names, and the one thread that trains."""

    def __init__(self, deployment: str, train: Callable[[Wanted], str]) -> None:
        """Begin without any.

        Args:
            deployment: The only one that is trained for here.
            train: Returns the version that came of an order; raises `HomeostatError` for none.
        """
        self._deployment, self._train = deployment, train
        self._known: dict[str, dict[str, Any]] = {}
        self._alias = ""
        self._lock = threading.Lock()
        self._queue: queue.Queue[Wanted | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Train nothing more, and wait for what is under way."""
        self._queue.put(None)
        self._thread.join()

    def state(self, key: str) -> dict[str, Any]:
        """Return how an order stands; `absent` for a key that never came."""
        with self._lock:
            known = self._known.get(key, {"phase": TrainingPhase.ABSENT.value})
            return {"deployment": self._deployment, "key": key, "alias": self._alias, **known}

    def order(self, data: Mapping[str, Any]) -> tuple[int, str]:
        """Begin a training once; a repeated key gets a yes and begins nothing.

        Returns:
            The HTTP status, and what to say.

        Raises:
            ValueError: It is no order.
        """
        if data["deployment"] != self._deployment:
            return NOT_FOUND, f"there is no {str(data['deployment'])[:80]!r} here"
        wanted = wanted_of(data)
        with self._lock:
            if wanted.key in self._known:
                return TAKEN, "taken"
            if len(self._known) >= ORDERS_MAX:
                return FULL, f"{ORDERS_MAX} orders are remembered; start the trainer anew"
            self._known[wanted.key] = {"phase": TrainingPhase.TAKEN.value}
        log.info("taken", key=wanted.key, parent=wanted.parent, why="; ".join(wanted.reason))
        self._queue.put(wanted)
        return TAKEN, "taken"

    def mark(self, data: Mapping[str, Any]) -> tuple[int, str]:
        """Keep what became of a version; move the alias if it is where it was, or not at all.

        Returns:
            The HTTP status, and what to say.

        Raises:
            ValueError: It makes no sense.
        """
        with self._lock:
            order = self._known.get(data["key"])
            if order is None or order.get("version") != data["version"]:
                return NOT_FOUND, "no version of that order has this name"
            to = data["alias_to"]
            if to is not None and not is_version(to) and to != "":
                raise ValueError(f"alias_to {str(to)[:80]!r} is no version")
            if to is not None and self._alias not in {data["alias_from"], to}:
                return CONFLICT, f"the alias names {self._alias!r} by now"
            order["verdict"] = str(data["verdict"])[:_DETAIL_MAX]
            self._alias = self._alias if to is None else to
        log.info("told", key=data["key"], version=data["version"], verdict=order["verdict"])
        return DONE, "done"

    def _work(self) -> None:
        while (wanted := self._queue.get()) is not None:
            self._put(wanted.key, phase=TrainingPhase.RUNNING.value)
            try:
                version = self._train(wanted)
            except HomeostatError as error:
                self._failed(wanted, str(error))
            except Exception as error:  # the trainer outlives a bug; it is told
                log.exception("bug", key=wanted.key)
                self._failed(wanted, f"the trainer broke: {error!r}")
            else:
                log.info("made", key=wanted.key, version=version)
                self._put(wanted.key, phase=TrainingPhase.MADE.value, version=version)

    def _failed(self, wanted: Wanted, why: str) -> None:
        log.info("no version", key=wanted.key, why=why)
        self._put(wanted.key, phase=TrainingPhase.FAILED.value, detail=why[:_DETAIL_MAX])

    def _put(self, key: str, **said: str) -> None:
        with self._lock:
            self._known[key] = self._known[key] | said


def wanted_of(data: Mapping[str, Any]) -> Wanted:
    """Return what an order's `data` asks for.

    Raises:
        ValueError: Names the field that makes no sense.
        KeyError: One is missing.
    """
    key, parent, reason = data["key"], data["parent"], data["reason"]
    if not isinstance(key, str) or not is_key(key):
        raise ValueError(f"key {str(key)[:80]!r} is no key")
    if not isinstance(parent, str) or not (parent == "" or is_version(parent)):
        raise ValueError(f"parent {str(parent)[:80]!r} is no version")
    if not isinstance(reason, list) or not all(isinstance(one, str) for one in reason):
        raise ValueError("reason must be a list of texts")
    start, end = _time("data_from", data["data_from"]), _time("data_to", data["data_to"])
    if start >= end:
        raise ValueError("data_from is not before data_to")
    return Wanted(key=key, parent=parent, data_from=start, data_to=end, reason=tuple(reason))


def _time(name: str, text: Any) -> float:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} {str(text)[:80]!r} is no time") from error
    if at.tzinfo is None:
        raise ValueError(f"{name} {text} has no time zone")
    return at.timestamp()
