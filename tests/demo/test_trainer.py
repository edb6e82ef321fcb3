"""The demo's trainer keeps the training webhook's contract, against the controller's own client."""

import asyncio
import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from homeostat.adapters.trainers import webhook
from homeostat.adapters.trainers.webhook import MARK, ORDER, WebhookTrainer
from homeostat.base.errors import ConfigError
from homeostat.base.intent import ReceiptStatus
from homeostat.base.training import LineageState, TrainingOrder, TrainingPhase, VersionMark
from homeostat.base.units import SECOND, TimeNs
from homeostat.demo import pipeline, refit
from homeostat.demo.artefact import build_artefacts, load
from homeostat.demo.population import FEATURES, sample
from homeostat.demo.trainer import LARGEST, OLDEST_S, TrainerServer, Training, main
from homeostat.demo.trainer_orders import ORDERS_MAX, NoVersionError, Orders, Wanted
from homeostat.demo.trainer_rows import KEPT, RowStore

SECRET = b"0123456789abcdef0123456789abcdef"
TOKEN = "rows-token-rows-token"


@dataclass
class Pipe:
    """Trains when it is let to; stands in for the refit and the host."""

    let: threading.Event = field(default_factory=threading.Event)
    asked: list[Wanted] = field(default_factory=list)
    problem: Exception | None = None

    def __call__(self, wanted: Wanted) -> str:
        self.asked.append(wanted)
        self.let.wait(10.0)
        if self.problem is not None:
            raise self.problem
        return f"r-{wanted.key}"


@dataclass
class Bench:
    server: TrainerServer
    pipe: Pipe
    secret: Path
    http: httpx2.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def client(self) -> WebhookTrainer:
        config = webhook.WebhookTrainerConfig(
            url=f"{self.url}/orders",
            state=f"{self.url}/orders",
            secret_file=self.secret,
            allow=(self.url.removeprefix("http://"),),
        )
        return webhook.build(config)

    def signed(self, body: bytes, *, at: float | None = None, secret: bytes = SECRET) -> Any:
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"x-homeostat-timestamp": stamp, "x-homeostat-signature": f"v1={digest}"}

    def post(self, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        return self.http.post(f"{self.url}/orders", content=body, headers=headers)

    def rows(self, said: Any, token: str = TOKEN) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return self.http.post(f"{self.url}/rows", content=body, headers=headers)

    def phase(self, key: str) -> str:
        give_up = time.monotonic() + 5.0
        while (said := self.server.orders.state(key))["phase"] in {"taken", "running"}:
            assert time.monotonic() < give_up
            time.sleep(0.005)
        return str(said["phase"])


@pytest.fixture(scope="module")
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=5.0) as client:  # one for all: a client is dear to make
        yield client


@pytest.fixture
def bench(tmp_path: Path, browser: httpx2.Client) -> Iterator[Bench]:
    secret, pipe, rows = tmp_path / "secret", Pipe(), RowStore(len(FEATURES))
    secret.write_bytes(SECRET + b"\n")
    orders = Orders("credit", pipe)
    server = TrainerServer(0, orders=orders, rows=rows, secret=secret, rows_token=TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Bench(server, pipe, secret, browser)
    finally:
        pipe.let.set()
        server.shutdown()
        thread.join()
        server.server_close()
        orders.close()


def ordered(key: str = "credit-d-0001-1", parent: str = "v2") -> TrainingOrder:
    now = TimeNs(time.time_ns())
    return TrainingOrder(
        key=key, intent_id="i-1", deployment="credit", action_id="d-0001", incident_id="i-0001",
        at=now, reason=("the inputs moved",), approvers=("ada", "ben"),
        data_from=TimeNs(now - 15 * SECOND), data_to=now, parent=parent, epoch=1,
        deadline=TimeNs(now + 5 * SECOND), due=TimeNs(now + 300 * SECOND),
    )  # fmt: skip


def plain_order(**change: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    said = {
        "deployment": "credit", "key": "k-1", "parent": "v2", "reason": ["why"],
        "data_from": datetime.fromtimestamp(now.timestamp() - 15.0, UTC).isoformat(),
        "data_to": now.isoformat(),
    }  # fmt: skip
    return said | change


def sent(bench: Bench, data: Any, *, kind: str = ORDER, name: str = "k-1") -> httpx2.Response:
    body = json.dumps({"id": name, "type": kind, "data": data}).encode()
    return bench.post(body, bench.signed(body) | {"idempotency-key": name})


async def test_the_controllers_own_client_orders_looks_and_marks(bench: Bench) -> None:
    client, order = bench.client(), ordered()
    assert (await client.look("credit", order.key, order.at)).phase is TrainingPhase.ABSENT
    assert (await client.ask(order, order.at)).status is ReceiptStatus.DONE
    assert (await client.ask(order, order.at)).status is ReceiptStatus.DONE, "sent twice"
    sight = await client.look("credit", order.key, order.at)
    assert (sight.phase, sight.version) in {(TrainingPhase.RUNNING, ""), (TrainingPhase.TAKEN, "")}
    bench.pipe.let.set()
    assert await asyncio.to_thread(bench.phase, order.key) == "made"
    sight = await client.look("credit", order.key, order.at)
    assert (sight.phase, sight.version) == (TrainingPhase.MADE, f"r-{order.key}")
    (asked,) = bench.pipe.asked
    assert (asked.parent, asked.reason) == ("v2", order.reason)
    assert (asked.data_from, asked.data_to) == pytest.approx((
        order.data_from / 1e9,
        order.data_to / 1e9,
    ))
    mark = VersionMark(
        id="m-1", key=order.key, deployment="credit", version=sight.version,
        verdict=LineageState.PROMOTED, reason="certified", deadline=order.deadline,
        alias_from="", alias_to=sight.version,
    )  # fmt: skip
    assert (await client.mark(mark, order.at)).status is ReceiptStatus.DONE
    after = await client.look("credit", order.key, order.at)
    assert (after.alias, after.verdict) == (sight.version, "promoted")
    await client.close()


async def test_no_version_is_told_in_words(bench: Bench) -> None:
    bench.pipe.problem = NoVersionError("12 labelled rows to fit on, at least 150 are needed")
    bench.pipe.let.set()
    client, order = bench.client(), ordered()
    await client.ask(order, order.at)
    assert await asyncio.to_thread(bench.phase, order.key) == "failed"
    sight = await client.look("credit", order.key, order.at)
    assert (sight.phase, sight.version) == (TrainingPhase.FAILED, "")
    assert "12 labelled rows" in sight.detail
    await client.close()


def test_the_trainer_outlives_a_bug_and_trains_the_next_one(bench: Bench) -> None:
    bench.pipe.let.set()
    bench.pipe.problem = ZeroDivisionError("oops")
    assert sent(bench, plain_order()).status_code == 202
    assert bench.phase("k-1") == "failed"
    assert "oops" in bench.server.orders.state("k-1")["detail"]
    bench.pipe.problem = None
    sent(bench, plain_order(key="k-2"), name="k-2")
    assert bench.phase("k-2") == "made"


@pytest.mark.parametrize(
    "change",
    [
        {"at": -OLDEST_S - 2.0},
        {"at": OLDEST_S + 2.0},
        {"secret": b"another secret, another secret."},
        {"header": ("x-homeostat-signature", "v1=\xe9")},
        {"header": ("x-homeostat-timestamp", "9" * 5_000)},
        {"header": ("x-homeostat-timestamp", "\xb2")},
        {"header": ("x-homeostat-timestamp", "")},
        {"body": b"{}"},
    ],
)
def test_what_is_not_signed_by_us_and_now_orders_nothing(
    bench: Bench, change: dict[str, Any]
) -> None:
    body = json.dumps({"id": "k-1", "type": ORDER, "data": plain_order()}).encode()
    at = time.time() + change.get("at", 0.0)
    headers = bench.signed(body, at=at, secret=change.get("secret", SECRET))
    headers |= dict([change["header"]]) if "header" in change else {}
    raw = {k: v.encode("latin-1") for k, v in headers.items()} | {"idempotency-key": b"k-1"}
    answer = bench.post(change.get("body", body), raw)
    assert answer.status_code == 401
    assert bench.server.orders.state("k-1")["phase"] == "absent"
    assert bench.pipe.asked == []


def test_a_replay_within_the_time_begins_nothing_more(bench: Bench) -> None:
    bench.pipe.let.set()
    body = json.dumps({"id": "k-1", "type": ORDER, "data": plain_order()}).encode()
    headers = bench.signed(body) | {"idempotency-key": "k-1"}
    assert [bench.post(body, headers).status_code for _ in range(3)] == [202] * 3
    assert bench.phase("k-1") == "made"
    assert len(bench.pipe.asked) == 1


def test_the_state_of_a_key_that_never_came_is_absent_and_asked_for_signed(bench: Bench) -> None:
    path = "/orders?key=nobody"
    assert bench.http.get(f"{bench.url}{path}").status_code == 401
    answer = bench.http.get(f"{bench.url}{path}", headers=bench.signed(path.encode()))
    assert answer.json() == {
        "deployment": "credit", "key": "nobody", "alias": "", "phase": "absent"
    }  # fmt: skip
    assert bench.http.get(f"{bench.url}/").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"key": "../k"},
        {"key": 7},
        {"parent": "v 2"},
        {"parent": None},
        {"reason": "why"},
        {"data_from": "yesterday"},
        {"data_from": "2026-01-01T00:00:00"},
        {"data_from": 0},
        {"data_to": "2000-01-01T00:00:00+00:00"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(bench: Bench, change: dict[str, Any]) -> None:
    answer = sent(bench, plain_order(**change), name=str(change.get("key", "k-1")))
    assert answer.status_code == 400
    assert bench.pipe.asked == []


def test_events_that_are_none_of_ours_are_refused(bench: Bench) -> None:
    assert sent(bench, plain_order(deployment="fraud")).status_code == 404
    assert sent(bench, plain_order(), kind="dev.homeostat.other.v1").status_code == 400
    assert sent(bench, plain_order(), name="another-key").status_code == 400
    assert sent(bench, None).status_code == 400
    for body in (b"[]", b"\xff", b"[" * 100_000, b"1" * 5_000):
        assert bench.post(body, bench.signed(body) | {"idempotency-key": "k"}).status_code == 400
    assert bench.pipe.asked == []


@pytest.mark.parametrize(
    ("length", "status"), [(str(LARGEST + 1), 413), ("-1", 411), ("9" * 99, 411), ("1e3", 411)]
)
def test_a_body_without_a_length_or_too_long_is_not_read(
    bench: Bench, length: str, status: int
) -> None:
    caller = http.client.HTTPConnection("127.0.0.1", bench.server.server_address[1], timeout=5.0)
    caller.putrequest("POST", "/orders")
    caller.putheader("content-length", length)
    caller.endheaders()
    assert caller.getresponse().status == status
    caller.close()


def test_orders_are_bounded() -> None:
    orders = Orders("credit", lambda _: "r-1")
    said = [orders.order(plain_order(key=f"k-{n}"))[0] for n in range(ORDERS_MAX + 1)]
    assert said == [202] * ORDERS_MAX + [507]
    orders.close()


def test_an_alias_that_somebody_moved_stays(bench: Bench) -> None:
    bench.pipe.let.set()
    sent(bench, plain_order())
    assert bench.phase("k-1") == "made"
    said = {"key": "k-1", "version": "r-k-1", "verdict": "promoted", "alias_to": "r-k-1"}
    assert sent(bench, said | {"alias_from": "v7"}, kind=MARK, name="m").status_code == 409
    assert sent(bench, said | {"version": "v9"}, kind=MARK, name="m").status_code == 404
    assert bench.server.orders.state("k-1")["alias"] == ""
    assert sent(bench, said | {"alias_from": ""}, kind=MARK, name="m").status_code == 200
    assert bench.server.orders.state("k-1")["alias"] == "r-k-1"


def row(number: int = 0, **change: Any) -> dict[str, Any]:
    at = time.time() - 3.0
    said = {"prediction_id": f"p-{number}", "label": 1, "at": at, "known_at": at + 1.0}
    return said | {"features": [1.0] * len(FEATURES)} | change


def test_rows_are_taken_once_and_by_their_own_token(bench: Bench) -> None:
    assert bench.rows({"rows": [row()]}, token="another").status_code == 401
    assert len(bench.server.rows) == 0
    first = bench.rows({"rows": [row(1), row(2)]}).json()
    again = bench.rows({"rows": [row(2, label=0), row(3)]}).json()
    assert (first["taken"], again["taken"], again["known"]) == (2, 1, 1)
    assert bench.server.rows.window(0.0, time.time()).labels.tolist() == [1, 1, 1], "the first told"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"features": [float("nan")] + [1.0] * 15}, "finite"),
        ({"features": [float("inf")] + [1.0] * 15}, "finite"),
        ({"features": [1e300] + [1.0] * 15}, "beyond"),
        ({"features": [10**400] + [1.0] * 15}, "finite"),
        ({"features": [True] + [1.0] * 15}, "a number"),
        ({"features": ["1"] + [1.0] * 15}, "a number"),
        ({"features": [1.0] * 15}, "16 numbers"),
        ({"features": [1.0] * 17}, "16 numbers"),
        ({"features": None}, "16 numbers"),
        ({"label": 2}, "0 or 1"),
        ({"label": True}, "0 or 1"),
        ({"label": 1.0}, "0 or 1"),
        ({"label": [1]}, "0 or 1"),
        ({"at": float("nan")}, "finite"),
        ({"at": time.time() + 1e6}, "known_at"),
        ({"known_at": time.time() + 1e6}, "ahead of now"),
        ({"prediction_id": ""}, "prediction_id"),
        ({"prediction_id": "p" * 201}, "prediction_id"),
        ({"more": 1}, "a row is"),
    ],
)
def test_a_row_that_is_none_is_refused_by_itself(
    bench: Bench, change: dict[str, Any], match: str
) -> None:
    said = bench.rows({"rows": [row(1), row(2, **change), row(3)]}).json()
    assert (said["taken"], said["refused"]) == (2, 1)
    assert match in said["why"]


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{", {"rows": 1}, {"rows": [], "more": 1}, {"rows": [0] * 1_001}]
)
def test_a_body_that_is_none_takes_nothing(bench: Bench, said: Any) -> None:
    assert bench.rows(said).status_code == 400
    assert len(bench.server.rows) == 0


def test_rows_are_bounded_and_the_oldest_make_room() -> None:
    store = RowStore(1)
    for begin in range(0, KEPT + 1_000, 1_000):
        batch = [row(n, features=[0.0], at=float(n), known_at=float(n)) for n in range(1_000)]
        store.take([one | {"prediction_id": f"{begin}-{n}"} for n, one in enumerate(batch)])
    assert len(store) == KEPT


def test_a_window_holds_what_was_asked_about_in_it() -> None:
    store = RowStore(1)
    store.take([row(n, features=[float(n)], at=float(n), known_at=20.0) for n in range(10)])
    assert store.window(3.0, 6.0).inputs.tolist() == [[3.0], [4.0], [5.0]]
    assert store.window(50.0, 60.0).inputs.shape == (0, 1)


def test_a_trainer_without_a_token_for_rows_does_not_start(tmp_path: Path) -> None:
    orders = Orders("credit", lambda _: "r-1")
    with pytest.raises(ValueError, match="HOMEOSTAT_DEMO_ROWS_TOKEN"):
        TrainerServer(0, orders=orders, rows=RowStore(1), secret=tmp_path, rows_token="")
    orders.close()


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    build_artefacts(folder, 7)
    return folder


def taught(shift: float, count: int = 400) -> RowStore:
    people, store = sample(count, 97_531, shift), RowStore(len(FEATURES))
    for start in range(0, count, 500):
        store.take([
            row(n, features=people.inputs[n].tolist(), label=int(people.defaulted[n]),
                at=1_000.0 + n / 60.0, known_at=1_010.0 + n / 60.0)
            for n in range(start, min(count, start + 500))
        ])  # fmt: skip
    return store


def wanted(key: str, parent: str = "v2", start: float = 1_000.0) -> Wanted:
    return Wanted(key=key, parent=parent, data_from=start, data_to=2_000.0, reason=())


def test_an_order_leads_to_a_version_that_is_written_and_brought(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[str] = []
    monkeypatch.setattr(pipeline, "bring", lambda host, envoy, version: brought.append(version))
    training = Training(rows=taught(2.5), artefacts=artefacts, host_url="h", envoy_admin="e")
    version = training(wanted("k-1"))
    assert (brought, version) == ([version], refit.version_of("k-1"))
    people = sample(5_000, 86_420, 2.5)
    right = (load(artefacts, version).predict(people.inputs) >= 0.5) == people.defaulted
    assert float(np.mean(right)) > 0.9
    with pytest.raises(NoVersionError, match="is there already"):
        training(wanted("k-1"))


@pytest.mark.parametrize(
    ("shift", "order", "match"),
    [
        (2.5, wanted("k-2", parent=""), "which version serves"),
        (2.5, wanted("k-2", start=1_005.0), "at least 150"),
        (0.0, wanted("k-2"), "no better"),
    ],
)
def test_an_order_that_leads_to_nothing_writes_nothing(
    artefacts: Path, shift: float, order: Wanted, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "bring", lambda *_: pytest.fail("nothing may be brought"))
    training = Training(rows=taught(shift), artefacts=artefacts, host_url="h", envoy_admin="e")
    with pytest.raises(NoVersionError, match=match):
        training(order)
    assert not (artefacts / refit.version_of("k-2")).exists()


@dataclass
class Host:
    """The process host's and Envoy's pages; two writes come before ours, and it takes a while."""

    share: int = 10
    conflicts: int = 2
    slow: int = 2
    levers: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/runtime":
            return httpx2.Response(
                200, json={"entries": {"traffic.b": {"final_value": str(self.share)}}}
            )
        if path == "/runtime_modify":
            self.log.append(f"weight {request.url.params['traffic.b']}")
            return httpx2.Response(200)
        if request.method == "PATCH":
            self.conflicts -= 1
            if self.conflicts >= 0:
                return httpx2.Response(409)
            self.levers = json.loads(request.content)["levers"]
            self.log.append(f"version {self.levers['version.b']}")
            return httpx2.Response(200, json={})
        self.slow -= bool(self.levers)
        version = self.levers.get("version.b") if self.slow < 0 else "v1"
        slot = {"pool": "b", "version": version, "state": "ready"}
        return httpx2.Response(200, json={"revision": 3, "slots": [slot] * 2})


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    client = httpx2.Client(transport=httpx2.MockTransport(made.answer))
    for verb in ("get", "post", "patch"):
        monkeypatch.setattr(f"homeostat.demo.pipeline.httpx2.{verb}", getattr(client, verb))
    return made


def test_a_version_is_brought_without_traffic_and_seen_to_run(host: Host) -> None:
    waits: list[float] = []
    pipeline.bring("http://host", "http://envoy", "r-1", sleep=waits.append)
    assert host.log == ["weight 0", "version r-1"], "no traffic before there is a version"
    assert host.levers == {"version.b": "r-1", "replicas.b": pipeline.TRIED_ON}
    assert len(waits) == 4, "two writes of others, and two looks at servers that come up"


def test_a_pool_that_serves_is_none_to_try_a_version_in(host: Host) -> None:
    host.share = 100
    with pytest.raises(ConfigError, match="carries 100 %"):
        pipeline.bring("http://host", "http://envoy", "r-1")
    assert (host.log, host.levers) == ([], {})


@pytest.mark.parametrize("change", [{"conflicts": 99}, {"slow": 10_000}])
def test_a_version_that_cannot_be_brought_is_said_to_be_so(
    host: Host, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(host, name, value)
    moments = iter(range(10_000))
    with pytest.raises(ConfigError, match="r-1"):
        pipeline.bring(
            "http://host", "http://envoy", "r-1",
            clock=lambda: float(next(moments)), sleep=lambda _: None,
        )  # fmt: skip


def test_arguments_are_demanded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--port", "1"])
    assert "--secret-file" in capsys.readouterr().err
