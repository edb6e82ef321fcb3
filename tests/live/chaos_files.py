"""The files of a chaos run, as a user writes them: HAProxy's, Prometheus' and Homeostat's.

One deployment of five model servers in two pools, all behind one HAProxy which is all that
Homeostat steers (docs/how-to/connect-haproxy.md): it can take servers out of rotation and shift
traffic. What users see is read from Prometheus, the servers are asked one by one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml
from chaos_plan import SERVERS

from homeostat.demo.population import sample
from homeostat.server.config.units import duration_ns

ROOT: Final = Path(__file__).parents[2]
POLICY: Final = ROOT / "examples" / "policies" / "demo.yaml"
NAME: Final = "credit"
BACKEND: Final = "model"
INTERVAL_S: Final = (
    2.0  # a busy machine: twice the scrape interval, as the page on Prometheus advises
)
LEASE_S: Final = 5.0
_WEIGHTS: Final[Mapping[str, int]] = MappingProxyType({"a": 90, "b": 30})
_HAPROXY: Final = """\
global
    stats socket {folder}/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 2s
    option redispatch
    retries 2
frontend users
    bind 127.0.0.1:{front}
    default_backend model
frontend metrics
    bind 127.0.0.1:{metrics}
    http-request use-service prometheus-exporter if {{ path /metrics }}
backend model
    balance roundrobin
    default-server check inter 2s fall 3 rise 2
{servers}
"""
_MODEL: Final = """\
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {{name: {name}}}
spec:
  mode: auto
  interval: {interval:g}s
  target:
    haproxy:
      socket: {socket}
      backend: model
      servers: {{a: ["a-*"], b: ["b-*"]}}
    pools: {{stable: a, fallback: b}}
  metrics:
    prometheus:
      - url: {prometheus}
        select: {{app: {name}}}
        subject: gateway
        presets: [haproxy, homeostat_instrument]
        window: 20s
    scrape:
      - fromReplicas: true
        url: http://{{address}}/metrics
        preset: homeostat_instrument
  probe: {{model: credit, features: {features}, expectLow: 0.0, expectHigh: 1.0}}
  slo:
    - {{name: latency, latency: {{quantile: 0.95, below: 250ms}}}}
    - {{name: errors, errors: {{atMost: 1%}}}}
  policy: demo
---
apiVersion: homeostat.dev/v1alpha1
kind: Controller
metadata: {{name: controller}}
spec:
  api: {{port: {api}, tokenFile: {token}}}
  store:
    postgres: {{url: "{database}", anchor: homeostat.anchor}}
    lease: {lease:g}s
  killFile: {kill}
  notify:
    - terminal: true
"""


def haproxy(folder: Path, front: int, metrics: int, ports: Mapping[str, int]) -> Path:
    """Write HAProxy's configuration and return its file."""
    servers = "\n".join(
        f"    server {name} 127.0.0.1:{ports[name]} weight {_WEIGHTS[name[0]]}" for name in SERVERS
    )
    file = folder / "haproxy.cfg"
    file.write_text(
        _HAPROXY.format(folder=folder, front=front, metrics=metrics, servers=servers),
        encoding="utf-8",
    )
    return file


def prometheus(folder: Path, metrics: int, ports: Mapping[str, int]) -> Path:
    """Write Prometheus' configuration and return its file."""
    jobs = {"haproxy": [metrics], "servers": [ports[name] for name in SERVERS]}
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{port}" for port in targets],
                        "labels": {"app": NAME},
                    }
                ],
            }
            for job, targets in jobs.items()
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config, indent=2), encoding="utf-8")  # JSON is YAML
    return file


def homeostat(folder: Path, *, socket: Path, prometheus: str, database: str, api: int) -> Path:
    """Write one controller's configuration into a folder of its own and return the file.

    Args:
        folder: The controller's; the kill switch and the token are beside it, for all of them.
        socket: HAProxy's, as the controllers reach it.
        prometheus: Its address.
        database: The journal's URL.
        api: The port of its API.
    """
    features = [round(float(value), 6) for value in sample(1, 1).inputs[0]]
    folder.mkdir()
    file = folder / "homeostat.yaml"
    text = _MODEL.format(
        name=NAME,
        interval=INTERVAL_S,
        socket=socket,
        prometheus=prometheus,
        features=features,
        api=api,
        token=folder.parent / "token",
        database=database,
        lease=LEASE_S,
        kill=folder.parent / "kill",
    )
    file.write_text(text, encoding="utf-8")
    return file


def guardrails() -> dict[str, float]:
    """Return what the judge holds acts to, in seconds and numbers, as the policy's file says it."""
    spec = yaml.safe_load(POLICY.read_text(encoding="utf-8"))["spec"]
    seconds = {
        name: float(str(spec[name]).split()[0]) * INTERVAL_S for name in ("freshness", "cooldown")
    }
    return seconds | {
        # After that a probe has failed so often that the server is proven failing, and it is told.
        "proof": (float(spec["failedProbes"]) + 1.0) * INTERVAL_S,
        "receipt": duration_ns(spec["receiptDeadline"]) / 1e9,
        "floor": float(spec["neverBelowReadyReplicas"]),
        "hourly": float(spec["maxActionsPerHour"]),
        "weight_low": float(spec["limits"]["weight"]["min"]),
        "weight_high": float(spec["limits"]["weight"]["max"]),
    }
