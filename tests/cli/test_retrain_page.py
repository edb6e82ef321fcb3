"""The page on retraining does what it says, from its own text.

The receiver is the example that the page names; MLflow is the stand-in that answers as 3.17.2 did.
"""

import asyncio
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "how_to"))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "trainers"))
import host_harness as harness
from mlflow_fake import running_fake
from mlflow_pipeline import EXPERIMENT, MODEL, Pipeline
from walking import ROOT, running, walking

from homeostat.base.events import Record
from homeostat.base.ports import Trainer
from homeostat.base.training import Lineage, LineageState, TrainingOrder, TrainingPhase
from homeostat.base.units import SECOND, TimeNs
from homeostat.server import planning
from homeostat.server.config.loader import assemble, parse
from homeostat.server.wiring import build

pytestmark = pytest.mark.live
NOW = TimeNs(1_000 * SECOND)
DOCUMENT = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: fraud}
spec:
  target: {process: {host: "http://127.0.0.1:1"}}
  metrics: {scrape: [{fromReplicas: true, preset: homeostat_instrument}]}
  slo:
    - {name: latency, latency: {below: 250ms}}
    - {name: errors, errors: {atMost: 1%}}
"""
ORDER = TrainingOrder(
    key="fraud-d-0007-1700000100",
    intent_id="d-0007.0.0",
    deployment="fraud",
    action_id="d-0007",
    incident_id="i-0003",
    at=NOW,
    reason=("inputs moved",),
    approvers=("ada", "grace"),
    data_from=NOW,
    data_to=NOW,
    parent="v1",
    epoch=1,
    deadline=NOW,
    due=NOW,
)


def trainer(fragment: Any, **reach: Any) -> Trainer:
    """Build the trainer of a fragment of the page, with addresses of this machine."""
    document = yaml.safe_load(DOCUMENT)
    document["spec"]["target"] |= fragment["spec"].pop("target")
    document["spec"] |= fragment["spec"]
    (kind,) = document["spec"]["training"].keys() & {"webhook", "mlflow"}
    document["spec"]["training"][kind] |= reach
    (deployment,) = assemble(parse(yaml.safe_dump(document).encode(), "f.yaml")).deployments
    plan = planning.deployment_plan(deployment).trainer
    assert plan is not None
    made: Trainer = build("trainer", plan)
    return made


async def phase(made: Trainer) -> TrainingPhase:
    """Ask how an order stands that nobody placed: what was read and knows none says so."""
    try:
        return (await made.look("fraud", ORDER.key, NOW)).phase
    finally:
        await made.close()


def test_the_page_on_retraining(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Any, controller: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    port = harness.free_block(1)
    with walking("retrain.md") as page:
        webhook, mlflow = page.yaml("webhook"), page.yaml("mlflow")
        secret, serve = page.commands({"8098": str(port)})
        subprocess.run(["bash", "-c", secret], check=True)
        with running([sys.executable, *shlex.split(serve)[1:]], tmp_path, port):
            here = f"http://127.0.0.1:{port}/orders"
            asked = trainer(webhook, url=here, state=here, allow=[f"127.0.0.1:{port}"])
            assert asyncio.run(phase(asked)) is TrainingPhase.ABSENT
        said = mlflow["spec"]["training"]["mlflow"]
        assert (said["model"], said["experiment"]) == (MODEL, EXPERIMENT)
        Path("mlflow.token").write_text("a-token-of-the-registry", encoding="utf-8")
        with running_fake() as (url, _):
            Pipeline(url)
            asked = trainer(mlflow, url=url, allow=[url.removeprefix("http://")])
            assert asyncio.run(phase(asked)) is TrainingPhase.ABSENT
        table, plain = (shlex.split(command)[1:] for command in page.commands())
    made = Lineage(order=ORDER, state=LineageState.ASKED, since=NOW, reason="")
    controller.tell("fraud")
    controller.view.observe("fraud", Record(fact=made))
    assert "d-0007" in shell(*table).stdout
    (row,) = json.loads(shell(*plain).stdout)
    assert (row["key"], row["state"]) == (ORDER.key, "asked")
