"""Two real controllers and one Lease: one leads and answers on the resources, then the other.

The API server is a stand-in; the processes, the journal and the signals are real.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
import cluster_fake as fake

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]  # minutes only where cores are shared
SOON_S = 120.0
CONTROLLER = """
apiVersion: homeostat.dev/v1alpha1
kind: Controller
metadata: {{name: controller}}
spec:
  api: {{port: 0, outside: {{host: 127.0.0.1, port: {port}}}}}
  store: {{path: ../j.db, lease: 2s}}
  cluster:
    api: {url}
    tokenFile: ../account
    namespace: homeostat
    lease: homeostat
    resources: {{every: 2s}}
"""
MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: chat, namespace: homeostat}
spec:
  interval: 1s
  target: {process: {host: "http://127.0.0.1:9"}}
  metrics: {scrape: [{fromReplicas: true, preset: vllm}]}
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
"""


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < end, f"not within {SOON_S:g} s: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Life:
    """One controller's process."""

    def __init__(self, folder: Path, name: str, url: str) -> None:
        self.port, home = free_port(), folder / name
        home.mkdir()
        text = CONTROLLER.format(port=self.port, url=url)
        (home / "controller.yaml").write_text(text, encoding="utf-8")
        self.log = home / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "homeostat", "run", "-f", str(home)],
                stdout=log,
                stderr=log,
                env=os.environ | {"XDG_STATE_HOME": str(home)},
            )

    def ready(self) -> str:
        """Return what its page says, empty while nobody answers or it is not ready."""
        try:
            said = httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5.0)
        except httpx2.HTTPError:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            return ""
        return said.text if said.status_code == 200 else ""

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=SOON_S)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[fake.Cluster, str]]:
    (tmp_path / "account").write_text(fake.TOKEN, encoding="utf-8")
    made = fake.Cluster()
    made.put(f"{fake.OURS}/managedmodels", yaml.safe_load(MODEL))
    with fake.serving(made) as url:
        yield made, url


def lease(cluster: fake.Cluster) -> dict[str, Any]:
    with cluster.lock:
        return dict(cluster.lists[fake.LEASES].get("homeostat", {"spec": {}})["spec"])


def conditions(cluster: fake.Cluster) -> dict[str, str]:
    with cluster.lock:
        status = cluster.lists[f"{fake.OURS}/managedmodels"]["chat"].get("status", {})
        return {one["type"]: one["status"] for one in status.get("conditions", ())}


def test_one_leads_and_says_so_and_when_it_is_killed_the_other_does(
    tmp_path: Path, cluster: tuple[fake.Cluster, str]
) -> None:
    stored, url = cluster
    first = Life(tmp_path, "first", url)
    until(lambda: first.ready().startswith("leads under epoch 1"), "a leader")
    second = Life(tmp_path, "second", url)
    try:
        until(lambda: second.ready().startswith("standby; "), "a standby that is ready")
        until(lambda: conditions(stored).get("InForce") == "True", "a word on the resource")
        assert conditions(stored) == {
            "Accepted": "True",
            "InForce": "True",
            "Healthy": "Unknown",  # its metrics are not to be had
            "Frozen": "False",
        }
        assert "homeostat_" in httpx2.get(f"http://127.0.0.1:{first.port}/metrics").text
        before = lease(stored)
        first.end(signal.SIGKILL)
        until(lambda: second.ready().startswith("leads under epoch 2"), "a leader again")
        after = lease(stored)
        assert after["holderIdentity"] != before["holderIdentity"]
        assert after["leaseTransitions"] == before["leaseTransitions"] + 1
    finally:
        for one in (first, second):
            if one.process.poll() is None:
                assert one.end(signal.SIGTERM) == 0, one.log.read_text(encoding="utf-8")
    assert lease(stored)["holderIdentity"] == ""  # handed over in order
