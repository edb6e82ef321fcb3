"""The page on Triton does what it says, from its own text, on a stand-in: Triton is no package."""

import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import triton_fake as fake
from walking import looked, moved, walking

from homeostat.base.intent import ReceiptStatus

pytestmark = pytest.mark.live


def test_the_page_on_triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with walking("connect-triton.md") as page:
        name, *words = shlex.split(page.commands()[0])
        assert name == "tritonserver"
        explicit = "--model-control-mode=explicit" in words
        tritons = [fake.Triton(explicit=explicit), fake.Triton(explicit=explicit)]
        assert f"--load-model={tritons[0].name}" in words
        with fake.serving(*tritons) as (first, second):
            here = {"10.0.0.11:8000": f"127.0.0.1:{first}", "10.0.0.12:8000": f"127.0.0.1:{second}"}
            text = page.file(tmp_path / "fraud.yaml", swap=here)
            (look,) = page.commands()
            looked(look, "fraud")
            assert tritons[0].loads == tritons[1].loads == []
            change = (("batch_max", 16), ("batch_wait_ms", 5.0))
            receipts = moved(text, "triton", change, (("batch_max", 8), ("batch_wait_ms", 2.5)))
    assert [receipt.status for receipt in receipts] == [ReceiptStatus.DONE] * 2, receipts
    for one in tritons:
        assert one.loaded is not None
        one.loaded["parameters"].pop("homeostat.stamp")
        assert one.loaded == fake.config()
        assert len(one.loads) == 2
