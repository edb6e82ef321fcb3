"""The page on services of one's own does what it says, from its own text, with its example."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
import host_harness as harness
from walking import ROOT, looked, moved, running, walking

from homeostat.base.intent import ReceiptStatus

pytestmark = pytest.mark.live


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def test_the_page_on_webhooks(folder: Path) -> None:
    port = harness.free_block(1)
    with walking("connect-a-webhook.md") as page:
        secret, serve = page.commands({"8099": str(port)})
        subprocess.run(["bash", "-c", secret], check=True)
        name, *words = shlex.split(serve)
        assert name == "python"
        with running([sys.executable, *words], folder, port):
            text = page.file(folder / "chat.yaml", swap={"8099": str(port)})
            looked(*page.commands())
            receipts = moved(text, "webhook", (("replicas.a", 4),), (("replicas.a", 3),))
    assert [receipt.status for receipt in receipts] == [ReceiptStatus.DONE] * 2, receipts
