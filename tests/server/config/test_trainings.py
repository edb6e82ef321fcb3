"""The `training` section: what it comes to, what it refuses, and what holds without it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from homeostat import plugins
from homeostat.base.training import TrainingPolicy
from homeostat.base.units import HOUR, SECOND
from homeostat.server.config.loader import load
from homeostat.server.config.trainings import TrainingSpec, plan, policy
from homeostat.server.planning import needs_restart, plan_of
from homeostat.server.wiring import build

MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: fraud}
spec:
  interval: 1s
  target:
    process: {host: "http://127.0.0.1:1"}
    envoy: {admin: "http://127.0.0.1:2", weights: {canary: traffic.canary}}
  metrics: {scrape: [{fromReplicas: true, preset: homeostat_instrument}]}
  slo:
    - {name: latency, latency: {below: 250ms}}
    - {name: errors, errors: {atMost: 1%}}
"""
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "retrain.md"
WEBHOOK = {
    "url": "https://train.example/orders",
    "state": "https://train.example/orders",
    "secretFile": "training.secret",
}


def read(folder: Path, more: dict[str, Any]) -> Any:
    model = yaml.safe_load(MODEL)
    model["spec"] |= {key: value for key, value in more.items() if key != "target"}
    model["spec"]["target"] |= more.get("target", {})
    file = folder / "model.yaml"
    file.write_text(yaml.safe_dump(model), encoding="utf-8")
    return load([file])


def blocks() -> list[dict[str, Any]]:
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(one)["spec"] for one in found]


def test_without_the_section_nobody_is_asked(tmp_path: Path) -> None:
    config = read(tmp_path, {})
    assert config.managed()[0].training is None
    assert plan_of(config).deployments[0].trainer is None


async def test_the_page_says_what_works(tmp_path: Path) -> None:
    webhook, mlflow = (read(tmp_path, block) for block in blocks())
    assert webhook.managed()[0].training == TrainingPolicy()
    assert mlflow.managed()[0].training == TrainingPolicy(marks=True)
    for config, name in ((webhook, "webhook"), (mlflow, "mlflow")):
        (found,) = plan_of(config).deployments
        assert found.trainer is not None
        assert found.trainer.part == name
        made = build("trainer", found.trainer)
        assert made.name == name
        await made.close()
    assert sorted(plugins.parts("trainer")) == ["mlflow", "webhook"]
    assert any("training" in one for one in needs_restart(plan_of(webhook), plan_of(mlflow)))


def test_what_is_said_is_what_the_core_sees() -> None:
    said = {"webhook": WEBHOOK, "window": "2h", "within": "1h", "every": "5s", "mark": True}
    spec = TrainingSpec.model_validate(said)
    assert policy(spec) == TrainingPolicy(
        window_ns=2 * HOUR, within_ns=HOUR, every_ns=5 * SECOND, marks=True
    )
    found = plan(spec, Path("/conf"))
    assert found is not None
    assert found.settings["secret_file"] == Path("/conf/training.secret")


def test_a_version_that_cannot_be_tried_is_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="has to prove itself as a canary; add canary"):
        read(tmp_path, {"training": {"webhook": WEBHOOK}})


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"webhook": WEBHOOK, "mlflow": {"url": "https://m.example", "model": "fraud"}},
        {"webhook": {"url": "https://train.example/orders"}},
        {"webhook": WEBHOOK | {"secret": "plain"}},
        {"webhook": WEBHOOK, "auto": True},
        {"webhook": WEBHOOK, "mark": "yes"},
        {"webhook": WEBHOOK, "within": "0s"},
        {"webhook": WEBHOOK, "within": "1m", "every": "5m"},
        {"webhook": WEBHOOK, "window": "nan"},
        {"webhook": WEBHOOK | {"timeout": "5m"}},
        {"mlflow": {"url": "https://ada:pass@m.example", "model": "fraud"}},
        {"mlflow": {"url": "https://m.example", "model": "x' or name='y"}},
        {"mlflow": {"url": "https://m.example", "model": "fraud", "username": "ada"}},
        {"mlflow": {"url": "https://m.example", "model": "fraud", "alias": "7"}},
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec.model_validate(said)
