"""The page on Ray Serve does what it says, from its own text, on the stand-in for a dashboard."""

import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import ray_fake as fake
from ray_server import TOKEN
from ray_targets import head
from walking import looked, moved, walking

from homeostat.base.intent import ReceiptStatus

pytestmark = pytest.mark.live


def test_the_page_on_ray_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "ray.token").write_text(f"{TOKEN}\n", encoding="utf-8")
    served = head()
    with walking("connect-ray-serve.md") as page, fake.serving(served) as port:
        config = yaml.safe_load(page.file(tmp_path / "serve.yaml"))
        # That command is a PUT of the file.
        assert page.commands() == ["serve deploy serve.yaml"]
        assert served.put(config)[0] == 200
        served.settle()
        text = page.file(tmp_path / "chat.yaml", swap={"8265": str(port)})
        before = served.get()["applications"]["chat"]["deployed_app_config"]
        looked(*page.commands())
        assert len(served.puts) == 1
        change = (("batch_max", 8), ("concurrency_max", 16), ("replicas.a", 3))
        back = (("batch_max", 4), ("concurrency_max", 8), ("replicas.a", 2))
        receipts = moved(text, "ray", change, back)
    assert [receipt.status for receipt in receipts] == [ReceiptStatus.DONE] * 2, receipts
    assert served.puts[1]["applications"][0]["deployments"] == [
        {
            "name": "Model",
            "num_replicas": 3,
            "max_ongoing_requests": 16,
            "user_config": {"batching": {"max_batch_size": 8}},
        }
    ]
    assert served.get()["applications"]["chat"]["deployed_app_config"] == before
