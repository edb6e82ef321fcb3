"""The servers whose metrics pages are recorded: what is written, started and asked of each.

Every one serves the same small scikit-learn model of two numbers; a row of three makes it raise.
`@A@` to `@D@` are free ports, `@PYTHON@` and `@BIN@` the environment's, `@FOLDER@` a folder.
Nothing here knows a preset: what a page must be bound to is said in `expositions/expected.yaml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

_MODEL: Final = """
from sklearn.linear_model import LogisticRegression

_X = [[float(n % 7), float(n % 3)] for n in range(60)]
MODEL = LogisticRegression().fit(_X, [n % 2 for n in range(60)])


def score(row):
    return float(MODEL.predict_proba([row])[0][1])
"""
GOOD_ROW: Final = [1.0, 2.0]
BAD_ROW: Final = [1.0, 2.0, 3.0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one server is run and asked.

    Attributes:
        needs: What is installed for it, as pip or apt name it.
        version: A command that prints its version; the first `1.2.3` of it counts.
        command: What starts it.
        ready: An address that answers 200 once it serves.
        page: Its metrics.
        good: Address and body that the model answers; empty if it serves no model.
        bad: Address and body that make the model raise.
        files: Written into the scratch folder first.
        env: Set for the server.
        setup: Address and body that are PUT before it is ready, if any.
        keep: Names that begin so are kept whole; of others one series each.
        settle_s: How long its page lags behind.
        start_s: How long it may take to start, on a busy machine.
    """

    needs: str
    version: tuple[str, ...]
    command: tuple[str, ...]
    ready: str
    page: str
    good: tuple[str, Any] | None = None
    bad: tuple[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[str, Any] | None = None
    keep: tuple[str, ...] = ()
    settle_s: float = 0.5
    start_s: float = 120.0


def _package(name: str) -> tuple[str, ...]:
    said = f"from importlib.metadata import version; print(version({name!r}))"
    return ("@PYTHON@", "-c", said)


class _Requests(TypedDict):
    good: tuple[str, Any]
    bad: tuple[str, Any]


def _rows(key: str, path: str, port: str = "@A@") -> _Requests:
    """Return a good and a bad request of the shape that most servers share."""
    url = f"http://127.0.0.1:{port}{path}"
    return {"good": (url, {key: GOOD_ROW}), "bad": (url, {key: BAD_ROW})}


_BENTO: Final = """
import bentoml

from model import score


@bentoml.service(workers=1, traffic={"timeout": 10})
class Credit:
    @bentoml.api(batchable=True, max_batch_size=8, max_latency_ms=200)
    def score(self, rows: list[list[float]]) -> list[float]:
        return [score(row) for row in rows]

    @bentoml.api
    def one(self, row: list[float]) -> float:
        return score(row)
"""
BENTOML: Final = Recipe(
    needs="bentoml scikit-learn",
    version=_package("bentoml"),
    command=("@BIN@/bentoml", "serve", "bento_app:Credit", "--host", "127.0.0.1", "--port", "@A@"),
    ready="http://127.0.0.1:@A@/readyz",
    page="http://127.0.0.1:@A@/metrics",
    good=("http://127.0.0.1:@A@/score", {"rows": [GOOD_ROW]}),
    bad=("http://127.0.0.1:@A@/score", {"rows": [BAD_ROW]}),
    files={"model.py": _MODEL, "bento_app.py": _BENTO},
    env={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "@FOLDER@/home"},
    keep=("bentoml_",),
)

_KSERVE: Final = """
from kserve import Model, ModelServer

from model import score


class Credit(Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": [score(row) for row in payload["instances"]]}


ModelServer(http_port=@A@, grpc_port=@B@, enable_grpc=False, workers=1).start([Credit("credit")])
"""
_KSERVE_URL: Final = "http://127.0.0.1:@A@/v1/models/credit:predict"
KSERVE: Final = Recipe(
    needs="kserve scikit-learn",
    version=_package("kserve"),
    command=("@PYTHON@", "kserve_app.py"),
    ready="http://127.0.0.1:@A@/v2/health/ready",
    page="http://127.0.0.1:@A@/metrics",
    good=(_KSERVE_URL, {"instances": [GOOD_ROW]}),
    bad=(_KSERVE_URL, {"instances": [BAD_ROW]}),
    files={"model.py": _MODEL, "kserve_app.py": _KSERVE},
    keep=("request_",),
)

_V2_URL: Final = "http://127.0.0.1:@A@/v2/models/credit/infer"


def _v2(row: list[float], kind: str) -> dict[str, Any]:
    return {"inputs": [{"name": "row", "shape": [1, len(row)], "datatype": kind, "data": row}]}


_DUMP: Final = "import joblib, model; joblib.dump(model.MODEL, 'credit.joblib')"
MLSERVER: Final = Recipe(
    needs="mlserver mlserver-sklearn uvloop<0.22",
    version=_package("mlserver"),
    command=("sh", "-c", f'"@PYTHON@" -c "{_DUMP}" && exec "@BIN@/mlserver" start .'),
    ready="http://127.0.0.1:@A@/v2/models/credit/ready",
    page="http://127.0.0.1:@C@/metrics",
    good=(_V2_URL, _v2(GOOD_ROW, "FP64")),
    bad=(_V2_URL, _v2(BAD_ROW, "FP64")),
    files={
        "model.py": _MODEL,
        "settings.json": '{"host": "127.0.0.1", "http_port": @A@, "grpc_port": @B@, '
        '"metrics_port": @C@, "parallel_workers": 1}',
        "model-settings.json": '{"name": "credit", "max_batch_size": 8, "max_batch_time": 0.01, '
        '"implementation": "mlserver_sklearn.SKLearnModel", '
        '"parameters": {"uri": "./credit.joblib", "version": "v1"}}',
    },
    keep=("model_infer_", "rest_server_", "batch_request_", "parallel_request_"),
)

_LIT: Final = """
import litserve as ls

from model import score


class Credit(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["row"]

    def predict(self, row):
        return score(row)

    def encode_response(self, output):
        return {"score": output}

"""
_LIT_RUN: Final = """
if __name__ == "__main__":
    server = ls.LitServer(Credit(), accelerator="cpu", workers_per_device=1@MORE@)
@INSTRUMENT@
    server.run(host="127.0.0.1", port=@A@, generate_client_file=False)
"""


def _lit(more: str, instrument: str) -> str:
    return _LIT_RUN.replace("@MORE@", more).replace("@INSTRUMENT@", instrument)


LITSERVE: Final = Recipe(
    needs="litserve scikit-learn prometheus-fastapi-instrumentator",
    version=_package("litserve"),
    command=("@PYTHON@", "lit_app.py"),
    ready="http://127.0.0.1:@A@/health",
    page="http://127.0.0.1:@A@/metrics",
    **_rows("row", "/predict"),
    files={
        "model.py": _MODEL,
        "lit_app.py": "from prometheus_fastapi_instrumentator import Instrumentator\n"
        + _LIT
        + _lit("", "    Instrumentator().instrument(server.app).expose(server.app)"),
    },
    keep=("http_",),
)

_LIT_LOGGER: Final = '''
import time

from prometheus_client import CollectorRegistry, Histogram, make_asgi_app


class Logged(ls.Logger):
    """What LitServe's documentation shows: a logger of one's own that mounts a page."""

    def __init__(self):
        super().__init__()
        registry = CollectorRegistry()
        self.took = Histogram("request_processing_seconds", "-", ["function"], registry=registry)
        self.mount("/metrics", make_asgi_app(registry=registry))

    def process(self, key, value):
        self.took.labels(key).observe(value)


class Timed(Credit):
    def predict(self, row):
        began = time.monotonic()
        try:
            return super().predict(row)
        finally:
            self.log("predict", time.monotonic() - began)

'''
LITSERVE_LOGGER: Final = Recipe(
    needs="litserve scikit-learn prometheus-client",
    version=_package("litserve"),
    command=LITSERVE.command,
    ready=LITSERVE.ready,
    page="http://127.0.0.1:@A@/metrics/",
    good=LITSERVE.good,
    bad=LITSERVE.bad,
    files={
        "model.py": _MODEL,
        "lit_app.py": _LIT
        + _LIT_LOGGER
        + _lit(", loggers=[Logged()]", "").replace("Credit()", "Timed()"),
    },
    keep=("request_",),
)

_FAST: Final = """
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator

from model import score

app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.get("/health")
def health() -> dict:
    return {}


@app.post("/predict")
def predict(body: dict) -> float:
    return score(body["row"])
"""
_UVICORN: Final = ("@PYTHON@", "-m", "uvicorn", "--host", "127.0.0.1", "--port", "@A@")
FASTAPI: Final = Recipe(
    needs="fastapi uvicorn prometheus-fastapi-instrumentator scikit-learn",
    version=_package("prometheus-fastapi-instrumentator"),
    command=(*_UVICORN, "fast_app:app"),
    ready="http://127.0.0.1:@A@/health",
    page="http://127.0.0.1:@A@/metrics",
    **_rows("row", "/predict"),
    files={"model.py": _MODEL, "fast_app.py": _FAST},
    keep=("http_",),
)

_STARLETTE: Final = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette_exporter import PrometheusMiddleware, handle_metrics

from model import score


async def predict(request):
    return JSONResponse(score((await request.json())["row"]))


async def health(request):
    return JSONResponse({})


app = Starlette(routes=[
    Route("/predict", predict, methods=["POST"]),
    Route("/health", health),
    Route("/metrics", handle_metrics),
])
app.add_middleware(PrometheusMiddleware)
"""
STARLETTE: Final = Recipe(
    needs="starlette uvicorn starlette-exporter scikit-learn",
    version=_package("starlette-exporter"),
    command=(*_UVICORN, "star_app:app"),
    ready="http://127.0.0.1:@A@/health",
    page="http://127.0.0.1:@A@/metrics",
    **_rows("row", "/predict"),
    files={"model.py": _MODEL, "star_app.py": _STARLETTE},
    keep=("starlette_",),
)

_OWN: Final = """
import json

from homeostat_instrument import Middleware, monitor

from model import score

watch = monitor("credit", "v2", features=["income", "debt"], feature_edges=[[1.0], [1.0]])


async def app(scope, receive, send):
    status, body = 200, b"{}"
    if scope["path"] == "/predict":
        try:
            row = json.loads((await receive())["body"])["row"]
            told = score(row)
            watch.observe(None, told, row)
            body = json.dumps(told).encode()
        except ValueError:
            status = 500
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = Middleware(app, watch, uncounted=["/health"])
"""
INSTRUMENT: Final = Recipe(
    needs="homeostat-instrument uvicorn scikit-learn",
    version=_package("homeostat-instrument"),
    command=(*_UVICORN, "--lifespan", "off", "own_app:app"),
    ready="http://127.0.0.1:@A@/health",
    page="http://127.0.0.1:@A@/metrics",
    **_rows("row", "/predict"),
    files={"model.py": _MODEL, "own_app.py": _OWN},
    keep=("ml_", "process_"),
)
