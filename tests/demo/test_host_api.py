"""The host's HTTP API over a host without processes: what is answered to whom."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.demo.host import first_levers
from homeostat.demo.host_api import BODY_MAX, HostApi, version_problem
from homeostat.demo.host_document import first_document
from homeostat.demo.host_launcher import Launcher
from homeostat.demo.host_log import HostLog
from homeostat.demo.host_reconcile import Reconciler
from homeostat.demo.host_rotation import Rotation
from homeostat.demo.host_settings import HostSettings, PoolSettings
from homeostat.demo.host_store import DocumentStore

EPOCH = {"X-Homeostat-Epoch": "1", "X-Homeostat-Intent": "d-1.0.0"}


class Api:
    """The application, its store and a client in one."""

    def __init__(self, folder: Path, client: httpx2.AsyncClient) -> None:
        (folder / "artefacts" / "v1").mkdir(parents=True, exist_ok=True)
        (folder / "artefacts" / "v1" / "manifest.json").write_text("{}")
        host = HostSettings(
            port=1,
            folder=folder / "host",
            artefacts=folder / "artefacts",
            pools=(PoolSettings(name="a", version="v1", replicas=2),),
        )
        self.store = DocumentStore(host.folder, first_document(first_levers(host)))
        log = HostLog()
        rotation = Rotation(folder / "rotation", None, client, 1.0)
        reconciler = Reconciler(host, self.store, rotation, Launcher(host, client), log)
        transport = httpx2.ASGITransport(app=HostApi(host, self.store, reconciler, log))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:80")

    async def write(self, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        return await self.client.patch("/v1/state", content=content, headers=sent)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with httpx2.AsyncClient() as unused:
        made = Api(tmp_path, unused)
        async with made.client:
            yield made


async def test_the_state_says_what_is_wanted_and_that_it_is_not_so_yet(api: Api) -> None:
    state = (await api.client.get("/v1/state")).json()
    assert (state["revision"], state["epoch"], state["intent"]) == (1, 0, None)
    assert state["changing"] is True
    assert [(s["name"], s["state"], s["version"]) for s in state["slots"]] == [
        ("a-1", "starting", None),
        ("a-2", "starting", None),
    ]
    assert state["spares"] == 0
    assert state["levers"]["version.a"] == "v1"


async def test_a_write_is_on_disk_before_it_is_answered(api: Api, tmp_path: Path) -> None:
    answer = await api.write({"levers": {"batch_max": 4}}, If_Match='"1"', **EPOCH)
    assert (answer.status_code, answer.json()) == (200, {"revision": 2})
    kept = json.loads((tmp_path / "host" / "host.json").read_text())
    assert (kept["revision"], kept["intent"], kept["levers"]["batch_max"]) == (2, "d-1.0.0", 4)


async def test_a_write_that_cannot_be_stored_is_507_and_changes_nothing(
    api: Api, tmp_path: Path
) -> None:
    (tmp_path / "host" / "host.new").mkdir()  # in the way of the next version
    answer = await api.write({"levers": {"batch_max": 4}}, If_Match="1", **EPOCH)
    assert answer.status_code == 507
    assert (await api.client.get("/v1/state")).json()["revision"] == 1
    (tmp_path / "host" / "host.new").rmdir()
    answer = await api.write({"levers": {"batch_max": 4}}, If_Match="1", **EPOCH)
    assert answer.json() == {"revision": 2}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {"If_Match": "1"}, 400),
        (b"not json", {"If_Match": "1"}, 400),
        (b"[" * 60_000, {"If_Match": "1"}, 400),
        (b"x" * (BODY_MAX + 1), {"If_Match": "1"}, 413),
        ([], {"If_Match": "1"}, 400),
        ({"levers": []}, {"If_Match": "1"}, 400),
        ({"levers": {}, "force": True}, {"If_Match": "1"}, 400),
        ({"levers": {"batch_max": 4}}, {}, 428),
        ({"levers": {"batch_max": 4}}, {"If_Match": "one"}, 400),
        ({"levers": {"batch_max": 4}}, {"If_Match": "-1"}, 400),
        ({"levers": {"batch_max": 4}}, {"If_Match": "٣"}, 400),
        ({"levers": {"batch_max": 4}}, {"If_Match": "*"}, 428),
        ({"levers": {"batch_max": 4}}, {"If_Match": "9" * 30}, 400),
        ({"levers": {"batch_max": 4}}, {"If_Match": "1", "X_Homeostat_Epoch": "1"}, 400),
        ({"levers": {"batch_max": 4}}, {"If_Match": "1", "X_Homeostat_Intent": "d"}, 400),
        ({"levers": {"version.a": "v9"}}, {"If_Match": "1"}, 422),
    ],
)
async def test_what_cannot_be_understood_changes_nothing(
    api: Api, body: Any, headers: dict[str, str], status: int
) -> None:
    answer = await api.write(body, **headers)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert api.store.document.revision == 1


async def test_other_paths_and_methods_are_refused(api: Api) -> None:
    assert (await api.client.get("/")).status_code == 404
    assert (await api.client.post("/v1/state")).status_code == 405
    assert (await api.client.delete("/v1/log")).status_code == 405


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "", "127.0.0.1.evil:80"])
async def test_a_name_that_was_pointed_at_this_machine_is_refused(api: Api, name: str) -> None:
    answer = await api.write({"levers": {"batch_max": 4}}, If_Match="1", Host=name)
    assert answer.status_code == 400
    assert api.store.document.revision == 1


async def test_the_log_names_each_changed_lever_and_can_be_read_on(api: Api) -> None:
    await api.write({"levers": {"batch_max": 4, "batch_wait_ms": 5}}, If_Match="1", **EPOCH)
    lines = (await api.client.get("/v1/log")).json()
    assert [(line["what"], line["detail"]["lever"]) for line in lines] == [
        ("lever_changed", "batch_max")
    ]
    assert lines[0]["detail"]["intent"] == "d-1.0.0"
    assert (await api.client.get(f"/v1/log?after={lines[0]['n']}")).json() == []
    assert (await api.client.get("/v1/log?after=x")).status_code == 400


@pytest.mark.slow
@given(st.binary(max_size=200), st.text(max_size=8))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_bring_it_down(tmp_path: Path, body: bytes, revision: str) -> None:
    async def talk() -> None:
        async with httpx2.AsyncClient() as unused:
            api = Api(tmp_path, unused)
            async with api.client:
                answer = await api.write(body, If_Match=revision)
                assert 400 <= answer.status_code < 500

    asyncio.run(talk())


@pytest.mark.parametrize("name", ["", ".", "..", "../v1", "v1/", "/etc", "v1\0", "v2"])
def test_a_version_is_the_name_of_an_artefact_folder_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "manifest.json").write_text("{}")
    assert version_problem(tmp_path, "v1") is None
    assert version_problem(tmp_path, name) is not None
