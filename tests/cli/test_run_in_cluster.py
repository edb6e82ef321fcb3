"""`homeostat run` with a Lease and custom resources, on a stand-in for the API server."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
import cluster_fake as fake

from homeostat.cli.main import app

CONTROLLER = """
apiVersion: homeostat.dev/v1alpha1
kind: Controller
metadata: {{name: controller}}
spec:
  api: {{port: 0}}
  cluster:
    api: {url}
    tokenFile: token
    namespace: homeostat
    lease: homeostat
    resources: {{every: 2s}}
"""
MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: chat, namespace: homeostat}
spec:
  target: {process: {host: "http://127.0.0.1:9"}}
  metrics: {scrape: [{fromReplicas: true, preset: vllm}]}
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
"""


@pytest.mark.live
def test_one_cycle_is_led_by_the_lease_and_configured_by_a_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    Path("token").write_text(fake.TOKEN, encoding="utf-8")
    cluster = fake.Cluster()
    with fake.serving(cluster) as url:
        Path("controller.yaml").write_text(CONTROLLER.format(url=url), encoding="utf-8")
        bare = CliRunner().invoke(app, ["run", "-f", "controller.yaml", "--once"])
        assert "no ManagedModel" in str(bare.exception)
        cluster.put(f"{fake.OURS}/managedmodels", yaml.safe_load(MODEL))
        said = CliRunner().invoke(app, ["run", "-f", "controller.yaml", "--once"])
        spec = cluster.lists[fake.LEASES]["homeostat"]["spec"]
        assert said.exit_code == 6, said.output
        assert re.search(r"^chat +shadow +unknown", said.output, re.MULTILINE), said.output
        # Before it serves: what detection takes. Colours stand between names and values.
        keeps = re.search(r"detection keeps.*bytes_a_series\W.*serving", said.stderr, re.DOTALL)
        assert keeps is not None, said.stderr
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("", 0)  # given back
        cluster.lists[fake.LEASES]["homeostat"]["spec"] |= {"holderIdentity": "another:1"}
        waits = CliRunner().invoke(app, ["run", "-f", "controller.yaml", "--once"])
        assert "another:1 leads" in str(waits.exception)
    written = {
        verb for verb, path, _ in cluster.asked if verb != "list" and "homeostat.dev" in path
    }
    assert written == set()  # one cycle says nothing on resources
