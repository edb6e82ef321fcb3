"""The model server's HTTP surface, without a socket: what it answers, and to what."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.demo.artefact import build_artefacts, load
from homeostat.demo.population import FEATURES, sample
from homeostat.demo.replica import Replica
from homeostat.demo.server_app import INFER_PATH, ServerApp
from homeostat.demo.server_settings import ServerSettings

PEOPLE = sample(64, 4_242)
Answer = tuple[int, dict[str, str], Any]


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    build_artefacts(folder, 7)
    return folder


def replica_settings(artefacts: Path, **changes: Any) -> ServerSettings:
    plain: dict[str, Any] = {
        "name": "a-1", "pool": "a", "port": 9, "artefacts": artefacts, "version": "v2",
        "chaos_token": "secret", "tau0_ms": 1.0, "alpha_ms": 0.1, "batch_wait_ms": 0.0,
    }  # fmt: skip
    return ServerSettings(**(plain | changes))


@contextlib.asynccontextmanager
async def serving(artefacts: Path, **changes: Any) -> AsyncIterator[tuple[Replica, ServerApp]]:
    replica = Replica(replica_settings(artefacts, **changes))
    task = asyncio.create_task(replica.batcher.serve())
    try:
        yield replica, ServerApp(replica)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ask(
    app: ServerApp,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    headers: Any = (),
    cut: int = 0,
) -> Answer:
    """Call the application; `cut` sends the body in pieces of that size."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    pieces = [raw[k : k + cut] for k in range(0, len(raw), cut)] if cut else [raw]
    parts = [
        {"type": "http.request", "body": piece, "more_body": k + 1 < len(pieces)}
        for k, piece in enumerate(pieces)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    verb = method or ("GET" if body is None else "POST")
    scope = {"type": "http", "path": path, "method": verb, "headers": list(headers)}
    await app(scope, receive, send)
    names = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], names, json.loads(sent[1]["body"])


def question(row: int = 0, **changes: Any) -> dict[str, Any]:
    tensor = {
        "name": "features", "shape": [1, len(FEATURES)], "datatype": "FP64",
        "data": PEOPLE.inputs[row].tolist(),
    }  # fmt: skip
    return {"id": f"q{row}", "inputs": [tensor | changes]}


async def test_an_answer_is_the_models_own_and_says_who_gave_it(artefacts: Path) -> None:
    async with serving(artefacts) as (_, app):
        answers = await asyncio.gather(*(ask(app, INFER_PATH, question(k)) for k in range(20)))
    wanted = load(artefacts, "v2").predict(PEOPLE.inputs[:20]).tolist()
    ids = set()
    for k, (status, headers, body) in enumerate(answers):
        assert status == 200
        assert (body["id"], body["model_name"], body["model_version"]) == (f"q{k}", "credit", "v2")
        output = body["outputs"][0]
        assert (output["name"], output["shape"], output["datatype"]) == (
            "probability", [1, 1], "FP64",
        )  # fmt: skip
        assert output["data"] == pytest.approx([wanted[k]], rel=1e-12)
        assert (headers["x-replica"], headers["x-version"]) == ("a-1", "v2")
        ids.add(headers["x-prediction-id"])
    assert len(ids) == 20
    assert all(name.startswith("a-1-") for name in ids)


async def test_prediction_ids_of_a_restarted_slot_never_repeat(artefacts: Path) -> None:
    seen = []
    for _ in range(3):
        async with serving(artefacts) as (_, app):
            for k in range(5):
                _, headers, _ = await ask(app, INFER_PATH, question(k))
                seen.append(headers["x-prediction-id"])
    assert len(set(seen)) == 15


async def test_a_prediction_that_is_no_number_is_answered_200_with_null(artefacts: Path) -> None:
    async with serving(artefacts, version="v3-garbage") as (replica, app):
        status, _, body = await ask(app, INFER_PATH, question())
        assert (status, body["outputs"][0]["data"]) == (200, [None])
        assert replica.monitor.predictions.invalid == 1


async def test_a_failing_release_fails_on_its_share_of_requests(artefacts: Path) -> None:
    roomy = {"batch_max": 64, "queue_max": 1_000, "concurrency_max": 1_000}
    async with serving(artefacts, version="v3-errors", **roomy) as (_, app):
        asked = (ask(app, INFER_PATH, question(k % 64)) for k in range(600))
        statuses = [status for status, _, _ in await asyncio.gather(*asked)]
    assert set(statuses) == {200, 500}
    assert 0.22 < statuses.count(500) / 600 < 0.38  # 0.3, give or take four standard errors


async def test_the_probes_answer_is_served_but_not_recorded(artefacts: Path) -> None:
    async with serving(artefacts, batch_wait_ms=20.0) as (replica, app):
        probe = ask(app, INFER_PATH, question(), headers=[(b"x-homeostat-probe", b"1")])
        answers = await asyncio.gather(probe, ask(app, INFER_PATH, question(1)))
        assert [status for status, _, _ in answers] == [200, 200]
        assert sum(replica.monitor.predictions.counts) == 1
        rows = json.loads(replica.monitor.ring.page(0))["rows"]
        assert [row[1] for row in rows] == [answers[1][1]["x-prediction-id"]]


async def test_a_spare_is_alive_but_not_ready_until_it_has_a_slot_and_a_version(
    artefacts: Path,
) -> None:
    async with serving(artefacts, name="spare-1", pool="", version=None) as (_, app):
        assert (await ask(app, "/v2/health/live"))[0] == 200
        assert (await ask(app, "/v2/health/ready"))[0] == 503
        assert (await ask(app, "/v2/models/credit/ready"))[0] == 503
        assert (await ask(app, INFER_PATH, question()))[0] == 503
        assert (await ask(app, "/admin/name", {"name": "a-2", "pool": "a"}))[0] == 200
        assert (await ask(app, "/admin/version", {"version": "v1"}))[0] == 200
        assert (await ask(app, "/v2/health/ready"))[0] == 200
        _, headers, _ = await ask(app, INFER_PATH, question())
        assert (headers["x-replica"], headers["x-version"]) == ("a-2", "v1")
        assert (await ask(app, "/admin/name", {"name": "b-9", "pool": "b"}))[0] == 409
        assert (await ask(app, "/admin/name", {"name": "a-2", "pool": "a"}))[0] == 200


@pytest.mark.parametrize("version", ["v9", "../v1", "v3 slow", "V2", "v1\r\nx: y", ""])
async def test_a_refused_artefact_leaves_the_old_one_serving(artefacts: Path, version: str) -> None:
    async with serving(artefacts) as (_, app):
        status, _, body = await ask(app, "/admin/version", {"version": version})
        assert (status, bool(body["error"])) == (422, True)
        assert (await ask(app, INFER_PATH, question()))[1]["x-version"] == "v2"


async def test_requests_during_a_swap_are_answered_by_the_version_they_name(
    artefacts: Path,
) -> None:
    wanted = {v: load(artefacts, v).predict(PEOPLE.inputs).tolist() for v in ("v1", "v2")}
    async with serving(artefacts, version="v1", queue_max=1_000) as (_, app):

        async def swap() -> None:
            await asyncio.sleep(0.02)
            await ask(app, "/admin/version", {"version": "v2"})

        swapping = asyncio.create_task(swap())
        seen: list[str] = []
        while not swapping.done() or seen[-1] != "v2":
            batch = [ask(app, INFER_PATH, question(k)) for k in range(16)]
            for k, (status, headers, body) in enumerate(await asyncio.gather(*batch)):
                assert status == 200
                version = headers["x-version"]
                assert body["model_version"] == version
                assert body["outputs"][0]["data"] == pytest.approx([wanted[version][k]])
                seen.append(version)
        await swapping
    assert set(seen) == {"v1", "v2"}
    assert seen == sorted(seen)


async def test_settings_change_and_a_bad_one_changes_nothing(artefacts: Path) -> None:
    async with serving(artefacts) as (_, app):
        status, _, now = await ask(app, "/admin/settings", {"batch_max": 3, "batch_wait_ms": 7})
        assert status == 200
        assert now == {"batch_max": 3, "batch_wait_ms": 7.0, "concurrency_max": 256}
        for bad in (
            {"batch_max": 0}, {"batch_max": 2.5}, {"batch_max": True}, {"batch_max": "8"},
            {"batch_max": 4, "batch_wait_ms": -1}, {"batch_max": 4, "queue": 1},
            {"batch_wait_ms": float("nan")}, {"concurrency_max": None}, {"batch_max": 10**400},
        ):  # fmt: skip
            assert (await ask(app, "/admin/settings", bad))[0] == 422
        assert (await ask(app, "/admin/state"))[2]["settings"] == now


async def test_a_drained_server_says_so_and_still_serves(artefacts: Path) -> None:
    async with serving(artefacts) as (_, app):
        assert (await ask(app, "/admin/drain", {}))[2]["draining"] is True
        assert (await ask(app, "/v2/health/ready"))[0] == 503
        assert (await ask(app, INFER_PATH, question()))[0] == 200


async def test_a_full_queue_answers_503_and_the_rest_is_served(artefacts: Path) -> None:
    async with serving(artefacts, batch_max=1, queue_max=4, tau0_ms=20.0) as (replica, app):
        asked = (ask(app, INFER_PATH, question(k)) for k in range(10))
        statuses = [status for status, _, _ in await asyncio.gather(*asked)]
        assert (statuses.count(200), statuses.count(503)) == (4, 6)
        assert (replica.batcher.held, app.inflight) == (0, 0)


async def test_chaos_needs_its_token_and_really_slows_the_device(artefacts: Path) -> None:
    async with serving(artefacts, tau0_ms=10.0) as (replica, app):
        for headers in ((), [(b"x-chaos-token", b"guess")]):
            order = await ask(app, "/admin/chaos", {"device_slowdown": 9}, headers=headers)
            assert order[0] == 403
        token = [(b"x-chaos-token", b"secret")]
        for bad in (
            {"device_slowdown": -1}, {"device_slowdown": 10**400}, {"device_slowdown": True},
            {"device_slowdown": float("nan")}, {"leak": 1}, {"leak_mb_per_s": "x"},
        ):  # fmt: skip
            assert (await ask(app, "/admin/chaos", bad, headers=token))[0] == 422
        assert replica.chaos.device_slowdown == 1.0
        await ask(app, "/admin/chaos", {"device_slowdown": 10}, headers=token)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await ask(app, INFER_PATH, question())
        assert 0.1 <= loop.time() - began < 0.3
        assert (await ask(app, "/admin/chaos", {"off": True}, headers=token))[2][
            "device_slowdown"
        ] == 1.0


async def test_without_a_token_nobody_can_break_the_server(artefacts: Path) -> None:
    async with serving(artefacts, chaos_token="") as (_, app):
        empty = [(b"x-chaos-token", b"")]
        assert (await ask(app, "/admin/chaos", {"device_slowdown": 9}, headers=empty))[0] == 403


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "object"),
        ({}, "one tensor"),
        ({"inputs": []}, "one tensor"),
        (question() | {"inputs": question()["inputs"] * 2}, "one tensor"),
        (question() | {"id": 7}, "id must be"),
        (question() | {"id": float("nan")}, "id must be"),
        (question(name="x"), "features"),
        (question(datatype="BYTES"), "FP64"),
        (question(shape=[2, 16]), "shape"),
        (question(shape=None), "shape"),
        (question(data=[1.0]), "16 values"),
        (question(data="x" * 16), "shape"),
        (question(data=[1.0] * 15 + ["1"]), "finite"),
        (question(data=[1.0] * 15 + [None]), "finite"),
        (question(data=[1.0] * 15 + [True]), "finite"),
        (question(data=[1.0] * 15 + [float("nan")]), "finite"),
        (question(data=[1.0] * 15 + [float("inf")]), "finite"),
        (question(data=[1.0] * 15 + [10**400]), "finite"),
    ],
)
async def test_bad_input_is_a_400_that_says_what_is_wrong(
    artefacts: Path, body: Any, said: str
) -> None:
    async with serving(artefacts) as (replica, app):
        status, _, plain = await ask(app, INFER_PATH, body, method="POST")
        assert status == 400
        assert said in plain["error"]
        assert sum(replica.monitor.predictions.counts) == 0


async def test_a_body_in_pieces_is_read_whole_and_one_that_is_too_large_is_refused(
    artefacts: Path,
) -> None:
    async with serving(artefacts) as (_, app):
        assert (await ask(app, INFER_PATH, question(), cut=7))[0] == 200
        assert (await ask(app, INFER_PATH, b" " * ((1 << 20) + 1), cut=1 << 16))[0] == 413


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (INFER_PATH, "GET", 405),
        ("/admin/chaos", "GET", 405),
        ("/admin/state", "POST", 405),
        ("/v2", "GET", 200),
        ("/v2/models/credit", "GET", 200),
        ("/v2/models/other", "GET", 404),
        ("/", "GET", 404),
    ],
)
async def test_paths_and_methods(artefacts: Path, path: str, method: str, status: int) -> None:
    async with serving(artefacts) as (_, app):
        assert (await ask(app, path, method=method))[0] == status


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "inputs", "name", "data", "shape"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(body=_JSON, path=st.sampled_from(["infer", "settings", "version", "name", "chaos"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_json_whatever_breaks_the_server(artefacts: Path, body: Any, path: str) -> None:
    async def run() -> None:
        async with serving(artefacts) as (replica, app):
            where = INFER_PATH if path == "infer" else f"/admin/{path}"
            token = [(b"x-chaos-token", b"secret")]
            status = (await ask(app, where, body, method="POST", headers=token))[0]
            assert status in {200, 400, 409, 422}
            assert (await ask(app, INFER_PATH, question()))[0] == 200
            assert replica.version == "v2"

    asyncio.run(run())


@pytest.mark.parametrize(
    "changes",
    [{"port": 0}, {"port": 70_000}, {"batch_max": 0}, {"queue_max": 0}, {"tau0_ms": -1.0},
     {"alpha_ms": float("nan")}, {"batch_wait_ms": float("inf")}, {"concurrency_max": -3}],
)  # fmt: skip
def test_settings_no_server_could_run_with_are_refused(
    artefacts: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        replica_settings(artefacts, **changes)
