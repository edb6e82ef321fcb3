"""The page on two controllers does what it says, from its own text, on a real PostgreSQL."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
import postgres_server
from walking import homeostat, replaced, walking

pytestmark = [pytest.mark.live, pytest.mark.slow]
WITHIN_S = 120.0  # a busy machine
MODEL = """---
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: chat}
spec:
  target: {observe: true}
  metrics:
    prometheus:
      - {url: "http://127.0.0.1:1", select: {job: a}, subject: gateway, replicaLabel: instance}
  slo:
    - {name: latency, latency: {below: 250ms}}
    - {name: errors, errors: {atMost: 1%}}
"""


class Controller:
    """One of the two, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        text: str,
        monkeypatch: pytest.MonkeyPatch,
        anchor: Path | None = None,
    ) -> None:
        self.anchor = folder / "state" / "homeostat" / "homeostat.anchor"
        self.anchor.parent.mkdir(parents=True)
        if anchor is not None:
            shutil.copy(anchor, self.anchor)
        (folder / "two.yaml").write_text(text, encoding="utf-8")
        (folder / "postgres-password").write_text("a-password", encoding="utf-8")
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        self._log = folder / "said.log"
        words = [sys.executable, "-m", "homeostat", "run", "-f", "two.yaml", "--quiet"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)

    def said(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", self._log.read_text(encoding="utf-8"))

    def until(self, holds: Callable[[], bool]) -> None:
        give_up = time.monotonic() + WITHIN_S
        while not holds():
            assert self.process.poll() is None, self.said()[-3000:]
            assert time.monotonic() < give_up, self.said()[-3000:]
            time.sleep(0.1)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WITHIN_S) == 0, self.said()[-3000:]


def test_the_page_on_two_controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_server.running() as server, walking("run-two-controllers.md") as page:
        if server is None:
            pytest.skip("PostgreSQL is not installed: on Debian, apt-get install postgresql")
        # The server of the tests has an administrator of this name already.
        statements = replaced(
            page.take("sql"), {"ROLE homeostat": "ROLE keeper", "OWNER homeostat": "OWNER keeper"}
        )
        for statement in filter(str.strip, statements.split(";")):
            server.sql("postgres", statement)
        url = f"postgresql://keeper@/homeostat?host={server.folder}"
        text = replaced(
            page.take("yaml", "passwordFile"),
            {
                "postgresql://homeostat@db.internal:5432/homeostat?sslmode=verify-full": url,
                "spec:\n": "spec:\n  api: {port: 0}\n",
            },
        )
        shown = page.take("", "standby")
        verify = page.take("sh", "audit verify")
        first = Controller(tmp_path / "a", text + MODEL, monkeypatch)
        first.until(first.anchor.exists)
        try:
            # Who joins a journal that is in use has no anchor of it: copy the other one's.
            second = Controller(tmp_path / "b", text + MODEL, monkeypatch, first.anchor)
            second.until(lambda: "standby" in second.said())
            for word in ("leads=", "lease_left_s=", shown.partition("effect=")[2].strip()):
                assert word in second.said(), second.said()
            first.end()
            second.until(lambda: second.anchor.read_bytes() != first.anchor.read_bytes())
            second.end()
        finally:
            first.process.kill()
        place = "postgresql://homeostat@db.internal/homeostat --anchor homeostat.anchor"
        said = homeostat(replaced(verify.strip(), {place: f"{url} --anchor {second.anchor}"}))
    assert said.exit_code == 0, said.output
