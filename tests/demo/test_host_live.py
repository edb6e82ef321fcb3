"""The real host with real processes behind the real Envoy: no change loses a request."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from host_harness import (
    Host,
    Load,
    free_block,
    host_settings,
    running_envoy,
    running_host,
    steady_load,
    write_stand_ins,
)

from homeostat.demo.artefact import build_artefacts
from homeostat.demo.envoy import Envoy
from homeostat.demo.host_rotation import rotation_file

pytestmark = pytest.mark.live
MINE = {"X-Homeostat-Epoch": "1", "X-Homeostat-Intent": "d-0001.0.0"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host for the tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("shared")
    write_stand_ins(folder / "artefacts", bad=("v3",))
    with running_host(host_settings(folder)) as running:
        yield running


def restart(host: Host, slot: str) -> None:
    lever = f"incarnation.{slot}"
    host.change({lever: host.state()["levers"][lever] + 1})


@asynccontextmanager
async def loaded(folder: Path, **changes: object) -> AsyncIterator[tuple[Host, Envoy, Load]]:
    """Host, Envoy with 20 % to pool b, and 100 requests a second through it."""
    admin_port = free_block(1)
    settings = host_settings(folder, envoy_admin=f"http://127.0.0.1:{admin_port}", **changes)
    write_stand_ins(folder / "artefacts")
    with running_host(settings) as host:
        async with (
            running_envoy(
                folder,
                settings.folder / "rotation",
                admin_port=admin_port,
                fallback_pools=(("b", 20),),
            ) as envoy,
            steady_load(envoy.settings.url) as load,
        ):
            yield host, envoy, load


async def carried_out(host: Host, levers: dict[str, object]) -> dict[str, object]:
    return await asyncio.to_thread(host.change, levers)


async def test_no_change_of_the_deployment_loses_a_request(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (host, envoy, load):
        first = host.slot("a-1")["pid"]
        await carried_out(host, {"incarnation.a-1": 2})
        assert host.slot("a-1")["pid"] != first
        await carried_out(host, {"replicas.a": 4})
        await carried_out(host, {"replicas.a": 1})
        await carried_out(host, {"replicas.a": 3, "version.a": "v1"})
        assert {s["version"] for s in host.state()["slots"] if s["pool"] == "a"} == {"v1"}
        await carried_out(host, {"drained.a-2": 1})
        await carried_out(host, {"drained.a-2": 0, "batch_max": 2})
        await carried_out(host, {"version.a": "v2"})
        async with httpx2.AsyncClient() as client:
            for weight in ("50", "0", "20"):
                url = f"{envoy.settings.admin_url}/runtime_modify"
                await client.post(url, params={"traffic.b": weight})
                await asyncio.sleep(0.3)
    assert load.failed == [], load.seen
    assert sum(load.seen.values()) > 200
    assert {"a-1", "a-2", "b-1"} <= load.replicas()


async def test_weights_move_traffic_between_the_pools(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (_, envoy, load), httpx2.AsyncClient() as client:
        shares = {}
        for weight in (0, 50, 100):
            url = f"{envoy.settings.admin_url}/runtime_modify"
            await client.post(url, params={"traffic.b": str(weight)})
            await asyncio.sleep(0.2)
            load.seen.clear()
            await asyncio.sleep(1.5)
            b = sum(n for key, n in load.seen.items() if key[1] == "b-1")
            shares[weight] = b / sum(load.seen.values())
    assert shares[0] == 0.0
    assert 0.3 < shares[50] < 0.7
    assert shares[100] == 1.0


async def test_a_stopped_replica_is_replaced_and_then_nothing_fails(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (host, _, load):
        victim = host.slot("a-1")["pid"]
        os.kill(victim, signal.SIGSTOP)
        await asyncio.sleep(0.2)
        await carried_out(host, {"incarnation.a-1": 2})
        assert not psutil.pid_exists(victim)
        await asyncio.sleep(2.2)  # what was on the stopped one times out after 2 s
        load.seen.clear()
        await asyncio.sleep(1.0)
        assert load.failed == []
        assert "a-1" in load.replicas()
        killed = [line["slot"] for line in host.log("killed")]
    assert killed == ["a-1"]


async def test_a_killed_replica_stays_gone_and_in_rotation_until_it_is_replaced(
    tmp_path: Path,
) -> None:
    async with loaded(tmp_path) as (host, _, load):
        os.kill(host.slot("a-1")["pid"], signal.SIGKILL)
        await asyncio.sleep(2.0)
        assert host.slot("a-1")["state"] == "gone"
        assert not host.state()["changing"]
        assert any(key[0] == 503 for key in load.seen), "the host healed by itself"
        await carried_out(host, {"incarnation.a-1": 2})
        load.seen.clear()
        await asyncio.sleep(1.0)
        assert load.failed == []
        assert host.slot("a-1")["state"] == "ready"


def test_a_warm_spare_takes_over_at_once_and_is_replaced(host: Host) -> None:
    spare = host.log("spare_ready")[-1]["detail"]["pid"]
    last = host.log()[-1]["n"]
    restart(host, "a-1")
    assert host.slot("a-1")["pid"] == spare
    host.until(lambda state: state["spares"] == 1)
    whats = [line["what"] for line in host.log() if line["n"] > last]
    order = ["lever_changed", "ready", "in_rotation", "out_of_rotation", "drained", "stopped"]
    assert [what for what in whats if what in order] == order


def test_a_dead_spare_is_replaced(host: Host) -> None:
    spare = host.log("spare_ready")[-1]["detail"]["pid"]
    os.kill(spare, signal.SIGKILL)
    host.until(lambda state: host.log("spare_ready")[-1]["detail"]["pid"] != spare)
    assert host.state()["spares"] == 1


def test_a_hung_spare_is_passed_over(host: Host) -> None:
    spare = host.log("spare_ready")[-1]["detail"]["pid"]
    os.kill(spare, signal.SIGSTOP)
    restart(host, "a-2")
    assert host.slot("a-2")["pid"] != spare
    assert not psutil.pid_exists(spare)
    host.until(lambda state: state["spares"] == 1)


def test_a_stale_revision_is_409_and_an_older_epoch_403_and_a_repeat_is_known(host: Host) -> None:
    before = host.state()
    revision, epoch = before["revision"], before["epoch"] + 7
    mine = {"X-Homeostat-Epoch": str(epoch), "X-Homeostat-Intent": "d-0001.0.0"}
    other = mine | {"X-Homeostat-Intent": "d-0002.0.0"}
    first = host.write({"batch_max": 4}, headers=mine)
    assert first.json() == {"revision": revision + 1}
    repeat = host.write({"batch_max": 4}, headers=mine | {"If-Match": str(revision)})
    assert repeat.json() == {"revision": revision + 1, "repeated": True}
    stale = host.write({"batch_max": 2}, headers=other | {"If-Match": str(revision)})
    assert (stale.status_code, stale.json()["state"]["revision"]) == (409, revision + 1)
    older = host.write({"batch_max": 2}, headers=other | {"X-Homeostat-Epoch": str(epoch - 1)})
    assert older.status_code == 403
    state = host.settled()
    assert (state["intent"], state["epoch"], state["writer"]) == (
        "d-0001.0.0", epoch, "controller",
    )  # fmt: skip
    assert state["levers"] == before["levers"] | {"batch_max": 4}
    host.change({"batch_max": before["levers"]["batch_max"]})


def test_a_bad_artefact_is_not_taken_and_the_old_version_serves_on(host: Host) -> None:
    def releases(state: dict[str, Any]) -> list[str]:
        return [release["version"] for release in state["releases"] if release["pool"] == "a"]

    before, last = host.state(), host.log()[-1]["n"]
    state = host.change({"version.a": "v3"})
    assert {s["version"] for s in state["slots"] if s["pool"] == "a"} == {"v2"}
    assert releases(state) == releases(before)
    gave_up = [line["slot"] for line in host.log("gave_up") if line["n"] > last]
    assert sorted(gave_up) == ["a-1", "a-2"]
    state = host.change({"version.a": "v1"})
    assert {s["version"] for s in state["slots"] if s["pool"] == "a"} == {"v1"}
    assert releases(state) == [*releases(before), "v1"]
    host.change({"version.a": "v2"})


def test_a_hung_replica_does_not_stall_a_rollback_of_the_others(host: Host) -> None:
    os.kill(host.slot("a-1")["pid"], signal.SIGSTOP)
    host.write({"version.a": "v1"})
    host.until(lambda _: host.slot("a-2")["version"] == "v1")  # while the other is stopped still
    restart(host, "a-1")
    assert host.slot("a-1")["version"] == "v1"
    host.change({"version.a": "v2"})


def test_a_slot_that_returns_counts_its_incarnations_on(host: Host) -> None:
    restart(host, "a-2")
    before = host.state()["levers"]["incarnation.a-2"]
    assert "incarnation.a-2" not in host.change({"replicas.a": 1})["levers"]
    assert host.change({"replicas.a": 2})["levers"]["incarnation.a-2"] == before + 1


def test_a_drained_replica_leaves_rotation_and_comes_back(host: Host) -> None:
    file = rotation_file(host.settings.folder / "rotation", "a")
    port = host.slot("a-1")["port"]
    assert host.change({"drained.a-1": 1})["levers"]["drained.a-1"] == 1
    assert host.slot("a-1")["state"] == "draining"
    assert str(port) not in file.read_text()
    host.change({"drained.a-1": 0})
    assert (host.slot("a-1")["state"], host.slot("a-1")["port"]) == ("ready", port)
    assert str(port) in file.read_text()


def test_a_process_above_its_memory_limit_is_killed_and_not_restarted(tmp_path: Path) -> None:
    write_stand_ins(tmp_path / "artefacts")
    limit = 400 * 1024 * 1024
    with running_host(host_settings(tmp_path, memory_limit_bytes=limit)) as host:
        victim = host.slot("a-2")
        with contextlib.suppress(httpx2.TransportError):  # it may be killed before it answers
            httpx2.post(f"http://127.0.0.1:{victim['port']}/test/hoard", json={"mb": 400})
        state = host.until(lambda _: host.slot("a-2")["state"] == "gone")
        kill = host.log("oom_kill")[0]
        assert kill["slot"] == "a-2"
        assert kill["detail"]["bytes"] > limit
        time.sleep(1.0)
        assert host.slot("a-2")["state"] == "gone"
        assert not host.state()["changing"]
        assert state["levers"]["incarnation.a-2"] == 1


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_host_ends(tmp_path: Path, sig: signal.Signals) -> None:
    write_stand_ins(tmp_path / "artefacts")
    with running_host(host_settings(tmp_path)) as host:
        os.kill(host.slot("a-1")["pid"], signal.SIGSTOP)
        children = host.children()
        assert len(children) >= 5
        os.kill(host.process.pid, sig)
        host.process.wait(15.0)
        _, alive = psutil.wait_procs(children, timeout=5.0)
    assert alive == []


def test_the_host_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    write_stand_ins(tmp_path / "artefacts")
    settings = host_settings(tmp_path)
    file = tmp_path / "settings.json"
    file.write_text(settings.to_json(), encoding="utf-8")
    script = f"""
import subprocess, sys, time
p = subprocess.Popen([sys.executable, "-m", "homeostat.demo.host", "--config", {str(file)!r}])
print(p.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(1.5)
        assert child.is_running()
        parent.kill()
    gone, _ = psutil.wait_procs([child], timeout=10.0)
    assert gone


def test_a_restarted_host_takes_up_its_document(tmp_path: Path) -> None:
    write_stand_ins(tmp_path / "artefacts")
    settings = host_settings(tmp_path)
    with running_host(settings) as host:
        host.write({"replicas.a": 1, "batch_max": 3}, headers=MINE)
        before = host.settled()
    with running_host(settings) as host:
        after = host.settled()
        known = ("revision", "epoch", "intent", "writer", "levers")
        assert {key: after[key] for key in known} == {key: before[key] for key in known}
        assert [slot["name"] for slot in after["slots"]] == ["a-1", "b-1"]


async def test_the_real_model_server_is_restarted_rolled_back_and_scaled_without_loss(
    tmp_path: Path,
) -> None:
    build_artefacts(tmp_path / "artefacts", 0)
    manifest = json.loads((tmp_path / "artefacts" / "v2" / "manifest.json").read_text())
    width = len(manifest["features"])
    body = json.dumps({
        "id": "x",
        "inputs": [{"name": "features", "shape": [1, width], "datatype": "FP64",
                    "data": [0.0] * width}],
    }).encode()  # fmt: skip
    admin_port = free_block(1)
    settings = host_settings(
        tmp_path,
        server="homeostat.demo.model_server:serve",
        envoy_admin=f"http://127.0.0.1:{admin_port}",
    )
    with running_host(settings) as host:
        rotation = settings.folder / "rotation"
        async with (
            running_envoy(tmp_path, rotation, admin_port=admin_port) as envoy,
            steady_load(envoy.settings.url, 60.0, body) as load,
        ):
            await carried_out(host, {"incarnation.a-1": 2})
            await carried_out(host, {"version.a": "v1"})
            await carried_out(host, {"replicas.a": 3})
            await carried_out(host, {"replicas.a": 2, "version.a": "v2", "batch_max": 4})
    assert load.failed == [], load.seen
    assert {key[2] for key in load.seen} == {"v1", "v2"}
