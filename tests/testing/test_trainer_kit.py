"""The kit of trainers finds each lie by its own sentence; what cannot fail checks nothing."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "trainers"))
from mlflow_fake import running_fake
from mlflow_pipeline import ALIAS, EXPERIMENT, MODEL, Pipeline
from typing_extensions import override

from homeostat.adapters.trainers._mlflow_api import MlflowConfig
from homeostat.adapters.trainers.mlflow import build
from homeostat.base.errors import TrainerError
from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.ports import Trainer
from homeostat.base.training import TrainingOrder, TrainingPhase, TrainingSight, VersionMark
from homeostat.base.units import TimeNs
from homeostat.testing.trainer import TrainerTarget, check_trainer

pytestmark = pytest.mark.live


class Honest:
    """A trainer that keeps its promises, for others to break one of them."""

    def __init__(self, inner: Trainer) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        return await self.inner.ask(order, now)

    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        return await self.inner.look(deployment, key, now)

    async def mark(self, mark: VersionMark, now: TimeNs) -> Receipt:
        return await self.inner.mark(mark, now)

    async def close(self) -> None:
        await self.inner.close()


class KnowsEverything(Honest):
    @override
    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        sight = await super().look(deployment, key, now)
        taken = TrainingPhase.TAKEN
        return replace(sight, phase=taken) if sight.phase is TrainingPhase.ABSENT else sight


class AsksTwice(Honest):
    @override
    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        receipt = await super().ask(order, now)
        return replace(receipt, intent_id="another")


class TimeoutIsNo(Honest):
    @override
    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        receipt = await super().ask(order, now)
        unknown = receipt.status is ReceiptStatus.UNKNOWN
        return replace(receipt, status=ReceiptStatus.NOT_APPLIED) if unknown else receipt


class AlwaysDone(Honest):
    @override
    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        return replace(await super().ask(order, now), status=ReceiptStatus.DONE)


class SilenceIsAbsence(Honest):
    @override
    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        try:
            return await super().look(deployment, key, now)
        except TrainerError:
            return TrainingSight(key=key, phase=TrainingPhase.ABSENT, at=now)


LIES: list[tuple[Callable[[Trainer], Trainer], str]] = [
    (KnowsEverything, "of an order that nobody gave it says"),
    (AsksTwice, "a receipt of another"),
    (AlwaysDone, "after its deadline it was"),
    (TimeoutIsNo, "an order was"),
    (SilenceIsAbsence, "it saw"),
]


@pytest.mark.parametrize(("lie", "sentence"), LIES, ids=lambda one: getattr(one, "__name__", ""))
async def test_a_broken_promise_has_its_own_sentence(
    lie: Callable[[Trainer], Trainer], sentence: str
) -> None:
    with running_fake() as (url, _):
        pipeline = await asyncio.to_thread(Pipeline, url)
        where = urlsplit(url)

        def make(base: str) -> Trainer:
            config = MlflowConfig(
                url=base,
                model=MODEL,
                experiment=EXPERIMENT,
                alias=ALIAS,
                allow=(urlsplit(base).netloc,),
                read_timeout_s=0.5,
            )
            return lie(build(config))

        target = TrainerTarget(
            make=make,
            host=str(where.hostname),
            port=int(where.port or 0),
            deployment="fraud",
            trainings=pipeline.trainings,
            finish=pipeline.finish,
            fail=pipeline.fail,
            stranger=pipeline.stranger,
            takes_over=pipeline.takes_over,
            alias=pipeline.alias,
            read_within_s=0.5,
        )
        with pytest.raises(AssertionError, match=sentence):
            await check_trainer(target)
