"""The page on webhooks does what it says, from its own text, with the example receiver."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
import host_harness as harness

from homeostat.cli.main import app
from homeostat.server.config.loader import assemble, parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "connect-a-webhook.md").read_text(encoding="utf-8")
(MODEL,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
SECRET, RECEIVER, LOOK = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)


def test_the_pages_file_is_whole() -> None:
    managed = assemble(parse(MODEL.encode(), "chat.yaml")).deployments[0].managed
    assert (managed.scale_actuator, managed.traffic_actuator) == ("webhook", None)


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Run the page's first two commands, on a free port."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    subprocess.run(["bash", "-c", SECRET], check=True)
    port = harness.free_block(1)
    words = shlex.split(RECEIVER.replace("8099", str(port)))
    process = subprocess.Popen([sys.executable, *words[1:]])
    try:
        give_up = time.monotonic() + 20.0
        while harness.is_free(port):
            assert process.poll() is None
            assert time.monotonic() < give_up, "the receiver does not listen after 20 s"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10.0)


@pytest.mark.live
def test_a_look_reads_the_receivers_state(receiver: int) -> None:
    Path("chat.yaml").write_text(MODEL.replace("8099", str(receiver)), encoding="utf-8")
    said = CliRunner().invoke(app, shlex.split(LOOK)[1:])
    assert said.exit_code == 6, said.output  # no Prometheus answers here
    assert re.search(r"^chat +shadow +unknown .* yes *$", said.output, re.MULTILINE), said.output
