"""Two real controllers in a real cluster, as the account that the manifests give them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
import host_harness as harness
from kube_accounts import apply, token
from kube_cluster import Kube
from kube_targets import deploy

pytestmark = [pytest.mark.live, pytest.mark.long, pytest.mark.timeout(600)]
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
    tokenFile: {account}
    caFile: {ca}
    namespace: {own}
    lease: homeostat
    resources: {{every: 2s, files: {files}}}
"""
MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {{name: chat}}
spec:
  interval: 1s
  target:
    kubernetes:
      api: {url}
      tokenFile: account
      caFile: ca
      namespace: {models}
      deployment: chat
      port: 8080
  metrics: {{scrape: [{{fromReplicas: true, preset: vllm}}]}}
  slo: [{{name: latency, latency: {{below: 250ms}}}}, {{name: errors, errors: {{atMost: 1%}}}}]
  guardrails: {{limits: {{replicas: {{min: 2, max: 6}}}}}}
"""


class Life:
    """One controller's process."""

    def __init__(self, folder: Path, name: str, **said: Any) -> None:
        self.port, home = harness.free_block(1), folder / name
        home.mkdir()
        text = CONTROLLER.format(port=self.port, **said)
        (home / "controller.yaml").write_text(text, encoding="utf-8")
        self.log = home / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "homeostat", "run", "-f", str(home)],
                stdout=log,
                stderr=log,
                env=os.environ | {"XDG_STATE_HOME": str(home)},
            )

    def says(self, word: str) -> bool:
        """Return whether its page on readiness begins like this."""
        try:
            said = httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5.0)
        except httpx2.HTTPError:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            return False
        return said.status_code == 200 and said.text.startswith(word)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=SOON_S)


def test_one_leads_speaks_on_the_resource_and_when_it_is_killed_the_other_does(
    kube: Kube, tmp_path: Path
) -> None:
    applied = apply(kube, "two-controllers")
    deploy(kube, applied.models)
    files = tmp_path / "files"
    files.mkdir()
    account = kube.token_file(token(kube, applied.own))
    (files / "account").write_bytes(account.read_bytes())
    (files / "ca").write_bytes(kube.ca.read_bytes())
    models = f"/apis/homeostat.dev/v1alpha1/namespaces/{applied.own}/managedmodels"
    kube.until(lambda: kube.serves(models), "our kinds")
    kube.create(models, yaml.safe_load(MODEL.format(url=kube.url, models=applied.models)))
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{applied.own}/leases/homeostat"

    def conditions() -> dict[str, str]:
        status = kube.get(f"{models}/chat").get("status", {})
        return {one["type"]: one["status"] for one in status.get("conditions", ())}

    said = {
        "url": kube.url,
        "account": account,
        "ca": kube.ca,
        "own": applied.own,
        "files": files,
    }
    lives = [Life(tmp_path, "first", **said)]
    try:
        kube.until(lambda: lives[0].says("leads under epoch 1"), "a leader", SOON_S)
        lives.append(Life(tmp_path, "second", **said))
        kube.until(lambda: lives[1].says("standby; "), "a standby", SOON_S)
        kube.until(lambda: conditions().get("InForce") == "True", "a word on it", SOON_S)
        assert conditions()["Accepted"] == "True"
        assert conditions()["Healthy"] == "Unknown"  # its metrics are not to be had
        before = kube.get(lease)["spec"]
        lives[0].end(signal.SIGKILL)
        kube.until(lambda: lives[1].says("leads under epoch 2"), "a leader again", SOON_S)
        after = kube.get(lease)["spec"]
        assert after["holderIdentity"] != before["holderIdentity"]
        assert after["leaseTransitions"] == before["leaseTransitions"] + 1
    finally:
        for one in lives:
            if one.process.poll() is None:
                assert one.end(signal.SIGTERM) == 0, one.log.read_text(encoding="utf-8")
    assert kube.get(lease)["spec"].get("holderIdentity", "") == ""  # handed over in order
    events = kube.get(f"/apis/events.k8s.io/v1/namespaces/{applied.own}/events")["items"]
    assert {"Accepted", "InForce"} <= {one.get("action") for one in events}
