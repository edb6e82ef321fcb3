"""One replica's state and work, without any protocol: slot, model, queue, device, draining.

`server_app` speaks HTTP in front of it; `model_server` starts and stops the process around both.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.demo.artefact import MODEL, ArtefactError, Floats, Model, load
from homeostat.demo.batcher import BATCH_LIMIT, Batcher, BatchSettings
from homeostat.demo.server_chaos import Chaos
from homeostat.demo.server_settings import ServerSettings
from homeostat_instrument import monitor

_RING: Final = 8_192  # at 100 requests/s over a minute of predictions for late readers
_WAIT_LIMIT_MS: Final = 10_000.0


class NotReadyError(HomeostatError):
    """No model is loaded: a warm spare, which nobody should send requests to."""


class BadReleaseError(HomeostatError):
    """The loaded release fails on this request, as its manifest says that it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer and who gave it.

    Attributes:
        id: Unique over processes and restarts of a slot.
        probability: NaN and infinities included.
        replica: The slot's name at that time.
        version: The version that really computed it.
    """

    id: str
    probability: float
    replica: str
    version: str


@dataclass(frozen=True, slots=True)
class _Request:
    inputs: Sequence[float]
    probe: bool


class Replica:
    """One replica; everything happens on one event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        """Take the settings and load the version, if one is named.

        Raises:
            ArtefactError: The version is refused.
        """
        self.name, self.pool = settings.name, settings.pool
        self.draining = False
        self.chaos = Chaos(settings.chaos_token)
        self.batching = BatchSettings(
            batch_max=settings.batch_max,
            batch_wait_ms=settings.batch_wait_ms,
            concurrency_max=settings.concurrency_max,
        )
        self._settings = settings
        self._model: Model | None = None
        self._loading = asyncio.Lock()
        self._chance = random.Random(settings.seed)
        # Microseconds since the epoch at the start: a later process of the same slot starts
        # higher than this one can count, so that labels never meet the wrong prediction.
        self._number = time.time_ns() // 1_000
        self.monitor = monitor(MODEL, None, recent=_RING)
        self.monitor.batch_max = settings.batch_max
        self.batcher: Batcher[_Request, Prediction | BadReleaseError] = Batcher(
            self.batching,
            queue_max=settings.queue_max,
            run=self._run,
            device_s=self._device_s,
            watch=self.monitor,
        )
        if settings.version is not None:
            self._use(load(settings.artefacts, settings.version))

    @property
    def version(self) -> str | None:
        """The loaded version; None in a warm spare."""
        return self._model.manifest.version if self._model else None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs; empty in a warm spare."""
        return self._model.manifest.features if self._model else ()

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self._model is not None and not self.draining

    async def infer(self, inputs: Sequence[float], *, probe: bool) -> Prediction:
        """Return the prediction for one request.

        Args:
            inputs: Finite, one per feature.
            probe: True for a canned request; it is served alike but not recorded among the
                predictions and features, whose histograms it would bend at low traffic.

        Raises:
            NotReadyError: No version is loaded.
            QueueFullError: Too many requests are held.
            BadReleaseError: The release fails, as its manifest says.
        """
        if self._model is None:
            raise NotReadyError(f"{self.name} has no version loaded")
        answer = await self.batcher.submit(_Request(inputs, probe))
        if isinstance(answer, BadReleaseError):
            raise answer
        return answer

    def _device_s(self, size: int) -> float:
        base_ms = self._settings.tau0_ms + self._settings.alpha_ms * size
        factor = self._model.manifest.device_time_factor if self._model else 1.0
        return base_ms * factor * self.chaos.device_slowdown / 1_000.0

    def _run(self, batch: Sequence[_Request]) -> list[Prediction | BadReleaseError]:
        model = self._model
        if model is None:
            raise NotReadyError(f"{self.name} has no version loaded")
        inputs = np.array([request.inputs for request in batch], dtype=np.float64)
        answers = [self._answer(model, value) for value in model.predict(inputs).tolist()]
        self._record(inputs, batch, answers)
        ratio = model.manifest.failure_ratio
        if ratio > 0.0:
            return [
                BadReleaseError(f"release {answer.version} failed")
                if self._chance.random() < ratio
                else answer
                for answer in answers
            ]
        return list(answers)

    def _answer(self, model: Model, probability: float) -> Prediction:
        self._number += 1
        return Prediction(
            id=f"{self.name}-{self._number}",
            probability=probability,
            replica=self.name,
            version=model.manifest.version,
        )

    def _record(
        self, inputs: Floats, batch: Sequence[_Request], answers: Sequence[Prediction]
    ) -> None:
        rows = [row for row, request in enumerate(batch) if not request.probe]
        if rows:
            self.monitor.observe_batch(
                [answers[row].id for row in rows],
                [answers[row].probability for row in rows],
                inputs if len(rows) == len(batch) else inputs[rows],
            )

    def take_slot(self, name: str, pool: str) -> None:
        """Give a spare its slot.

        Raises:
            ValueError: It serves already, under another name.
        """
        if self._model is not None and (name, pool) != (self.name, self.pool):
            raise ValueError(f"serves already as {self.name} in pool {self.pool}")
        self.name, self.pool = name, pool

    async def use_version(self, version: str) -> None:
        """Load a version and use it from the next batch on; the old one serves until then.

        Raises:
            ArtefactError: It is refused; the old one stays.
        """
        async with self._loading:
            self._use(await asyncio.to_thread(load, self._settings.artefacts, version))

    def _use(self, model: Model) -> None:
        try:
            self.monitor.watch_features(model.manifest.features, model.feature_edges.tolist())
        except ValueError as error:
            raise ArtefactError(model.manifest.version, str(error)) from error
        self._model = model
        self.monitor.version = model.manifest.version

    def change(self, body: dict[str, Any]) -> None:
        """Change batching settings; effective from the next batch.

        Raises:
            ValueError: An unknown key or a value out of range; nothing changed.
        """
        limits = {
            "batch_max": (1, BATCH_LIMIT),
            "batch_wait_ms": (0, _WAIT_LIMIT_MS),
            "concurrency_max": (1, 100_000),
        }
        for name, value in body.items():
            if name not in limits:
                raise ValueError(f"unknown: {name}; known are {', '.join(sorted(limits))}")
            low, high = limits[name]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not low <= value <= high:  # NaN is in no range
                raise ValueError(f"{name} must be a number in {low}..{high:g}, got {value!r:.40}")
            if name != "batch_wait_ms" and value != int(value):
                raise ValueError(f"{name} must be a whole number, got {value}")
        for name, value in body.items():
            setattr(self.batching, name, float(value) if name == "batch_wait_ms" else int(value))
        self.monitor.batch_max = self.batching.batch_max
        self.batcher.changed()

    def settings(self) -> dict[str, float]:
        """Return the batching settings as they are now."""
        now = self.batching
        return {
            "batch_max": now.batch_max,
            "batch_wait_ms": now.batch_wait_ms,
            "concurrency_max": now.concurrency_max,
        }
