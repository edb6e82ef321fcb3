"""Every trainer there is keeps the port's promises, on its target and on a bad wire."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mlflow_fake import running_fake
from mlflow_pipeline import ALIAS, EXPERIMENT, MODEL, Pipeline, mlflow_command, running_mlflow
from mlflow_steps import differences, play, recorded
from training_server import running_training_receiver

from homeostat import plugins
from homeostat.adapters.trainers import mlflow, webhook
from homeostat.adapters.trainers._mlflow_api import MlflowConfig
from homeostat.base.ports import Trainer
from homeostat.testing.trainer import TrainerTarget, check_trainer

TARGETS = ("webhook", "mlflow")


def test_every_trainer_has_a_target_for_the_kit() -> None:
    assert sorted(plugins.parts("trainer")) == sorted(TARGETS)


def of_mlflow(url: str) -> Trainer:
    parts = urlsplit(url)
    config = MlflowConfig(
        url=url,
        model=MODEL,
        experiment=EXPERIMENT,
        alias=ALIAS,
        allow=(f"{parts.hostname}:{parts.port}",),
        read_timeout_s=1.0,
    )
    return mlflow.build(config)


def mlflow_target(base: str) -> TrainerTarget:
    pipeline, where = Pipeline(base), urlsplit(base)
    return TrainerTarget(
        make=of_mlflow,
        host=str(where.hostname),
        port=int(where.port or 0),
        deployment="fraud",
        trainings=pipeline.trainings,
        finish=pipeline.finish,
        fail=pipeline.fail,
        stranger=pipeline.stranger,
        takes_over=pipeline.takes_over,
        alias=pipeline.alias,
        read_within_s=1.0,
    )


@contextmanager
def webhook_target(folder: Path) -> Iterator[TrainerTarget]:
    with running_training_receiver(folder) as receiver:

        def make(url: str) -> Trainer:
            config = webhook.WebhookTrainerConfig(
                url=f"{url}/orders",
                state=f"{url}/orders",
                secret_file=receiver.secret,
                allow=(urlsplit(url).netloc,),
                read_timeout_s=1.0,
            )
            return webhook.build(config)

        yield TrainerTarget(
            make=make,
            host="127.0.0.1",
            port=receiver.port,
            deployment="fraud",
            trainings=receiver.trainings,
            finish=receiver.finish,
            fail=receiver.fail,
            stranger=receiver.stranger,
            takes_over=receiver.takes_over,
            alias=receiver.named,
            read_within_s=1.0,
        )


@pytest.mark.live
async def test_the_webhook_trainer_keeps_its_promises(tmp_path: Path) -> None:
    with webhook_target(tmp_path) as target:
        await check_trainer(target)


@pytest.mark.live
async def test_the_mlflow_trainer_keeps_its_promises_on_the_stand_in() -> None:
    with running_fake() as (url, _):
        await check_trainer(mlflow_target(url))


@pytest.mark.live
@pytest.mark.long
async def test_the_mlflow_trainer_keeps_its_promises_on_a_real_server(tmp_path: Path) -> None:
    command = mlflow_command()
    if command is None:
        pytest.skip("no mlflow here: `pip install mlflow` beside, or HOMEOSTAT_MLFLOW=its path")
    with running_mlflow(command, tmp_path) as url:
        # A newer server may say more than the recorded one.
        said = [one for one in play(url) if not one.endswith("only the stand-in has it")]
        await check_trainer(mlflow_target(url))
    assert not said, "\n".join(said)


def test_the_stand_in_answers_as_a_real_mlflow_did() -> None:
    assert len(recorded()) > 30
    with running_fake() as (url, _):
        assert play(url) == []


def test_a_difference_is_found() -> None:
    assert differences({"name": "a"}, {"name": "b"}) == [".name: 'a' instead of 'b'"]
    assert differences({}, {"aliases": []}) == [".aliases: missing"]
    assert differences({"more": 1}, {}) == [".more: only the stand-in has it"]
    assert differences([1], [1, 2]) == [": 1 instead of 2"]
