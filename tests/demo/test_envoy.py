"""Envoy's configuration and its refusals to start; and, live, what it counts and limits."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from host_harness import free_block, is_free, running_envoy
from prometheus_client.parser import text_string_to_metric_families

from homeostat.adapters.actuators.envoy import EnvoyActuator, EnvoyConfig
from homeostat.base.errors import ConfigError
from homeostat.base.units import TimeNs
from homeostat.demo import envoy as module
from homeostat.demo.envoy import BUCKETS_MS, Envoy, EnvoySettings, bootstrap, find_envoy
from homeostat.demo.host_rotation import Rotation, endpoints_text


def some_settings(tmp_path: Path, **changes: Any) -> EnvoySettings:
    for pool in "ab":
        (tmp_path / f"{pool}.json").write_text(endpoints_text(pool, (), 1))
    first = free_block(2)
    base: dict[str, Any] = {
        "port": first,
        "admin_port": first + 1,
        "folder": tmp_path / "envoy",
        "rotation_folder": tmp_path,
    }
    return EnvoySettings(**(base | changes))


def find(tree: Any, key: str) -> list[Any]:
    """Return every value under this key, at any depth."""
    if isinstance(tree, dict):
        here = [tree[key]] if key in tree else []
        return here + [found for value in tree.values() for found in find(value, key)]
    if isinstance(tree, list | tuple):
        return [found for value in tree for found in find(value, key)]
    return []


def test_nothing_in_the_configuration_heals_by_itself(tmp_path: Path) -> None:
    config = bootstrap(some_settings(tmp_path))
    for healer in ("retry_policy", "outlier_detection", "health_checks", "hedge_policy"):
        assert find(config, healer) == []
    assert find(config, "timeout") == ["2s", "2s"]


def test_everything_listens_on_loopback_only(tmp_path: Path) -> None:
    config = bootstrap(some_settings(tmp_path))
    addresses = find(config, "socket_address")
    assert len(addresses) == 2
    assert {one["address"] for one in addresses} == {"127.0.0.1"}


def test_two_weighted_pools_are_refused_because_their_shares_would_overlap(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, fallback_pools=(("b", 5), ("c", 5)))
    with pytest.raises(ConfigError, match="one fallback pool"):
        bootstrap(settings)


def test_the_configuration_is_plain_json(tmp_path: Path) -> None:
    config = bootstrap(some_settings(tmp_path, fallback_pools=()))
    assert json.loads(json.dumps(config))["admin"] == config["admin"]


async def test_a_missing_binary_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"homeostat\[demo\]"):
        find_envoy()
    with pytest.raises(ConfigError, match=r"homeostat\[demo\]"):
        await Envoy.start(some_settings(tmp_path))


@pytest.mark.parametrize("name", ["port", "admin_port"])
async def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"{name} {port} cannot be used"):
            await Envoy.start(some_settings(tmp_path, **{name: port}))


async def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="file/envoy"):
        await Envoy.start(some_settings(tmp_path, folder=tmp_path / "file" / "envoy"))


async def test_missing_rotation_files_are_an_error_that_says_who_writes_them(
    tmp_path: Path,
) -> None:
    settings = some_settings(tmp_path, rotation_folder=tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"elsewhere/a\.json .* start the process host first"):
        await Envoy.start(settings)


async def test_a_binary_that_dies_is_quoted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    fake = tmp_path / "envoy"
    fake.write_text("#!/bin/sh\necho the sky is falling >&2\nexit 3\n")
    fake.chmod(0o755)
    settings = some_settings(tmp_path, folder=tmp_path / "messages")
    with pytest.raises(ConfigError, match=r"ended with 3; it said: the sky is falling"):
        await Envoy.start(settings, binary=fake)


async def test_a_binary_that_never_serves_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READY_S", 0.5)
    fake, pid = tmp_path / "envoy", tmp_path / "pid"
    fake.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    fake.chmod(0o755)
    settings = some_settings(tmp_path, folder=tmp_path / "messages")
    with pytest.raises(ConfigError, match="is not ready"):
        await Envoy.start(settings, binary=fake)
    assert not psutil.pid_exists(int(pid.read_text()))


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    """Two servers, `a-1` and `b-1`, in the rotation files of their pools."""
    first = free_block(2)
    script = f"""
import signal, sys, pathlib
sys.path.insert(0, {str(Path(__file__).parent)!r})
import stand_in
from homeostat.demo.host_child import die_with_parent
from homeostat.demo.server_settings import ServerSettings
die_with_parent(signal.SIGKILL)
name, port = sys.argv[1:]
stand_in.serve(ServerSettings(name=name, pool=name[0], port=int(port), version="v1",
    artefacts=pathlib.Path("."), chaos_token=""))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, f"{pool}-1", str(first + number)])
        for number, pool in enumerate("ab")
    ]
    for number in range(2):
        give_up = time.monotonic() + 20
        while is_free(first + number):
            assert time.monotonic() < give_up
            time.sleep(0.05)
    yield {"a": (first,), "b": (first + 1,)}
    for process in processes:
        process.kill()
        process.wait()


def counters(page: str) -> dict[tuple[str, str], float]:
    """Return samples by name and cluster."""
    return {
        (
            sample.name.removesuffix("_total"),
            sample.labels.get("envoy_cluster_name", ""),
        ): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if "le" not in sample.labels and "envoy_response_code_class" not in sample.labels
    }


@pytest.mark.live
async def test_the_limit_refuses_marks_and_counts_apart(
    tmp_path: Path, stand_in: dict[str, tuple[int, ...]]
) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=10.0) as client:
        Rotation(tmp_path / "rotation", None, client, 1.0).publish(stand_in)
        async with running_envoy(tmp_path, tmp_path / "rotation") as envoy:
            actuator = EnvoyActuator(EnvoyConfig(url=envoy.settings.admin_url))

            async def burst(count: int) -> Counter[tuple[int, str | None]]:
                calls = [client.get(f"{envoy.settings.url}/x") for _ in range(count)]
                answers = await asyncio.gather(*calls)
                return Counter(
                    (a.status_code, a.headers.get("x-envoy-overloaded")) for a in answers
                )

            assert await burst(30) == {(200, None): 30}
            await client.post(
                f"{envoy.settings.admin_url}/runtime_modify",
                params={"circuit_breakers.a.default.max_requests": "5",
                        "circuit_breakers.b.default.max_requests": "5"},
            )  # fmt: skip
            assert (await actuator.read("m", TimeNs(time.time_ns()))).lever("gateway_limit") == 5
            seen = await burst(30)
            refused = seen[503, "true"]
            assert refused >= 15
            assert seen == {(200, None): 30 - refused, (503, "true"): refused}
            page = (await client.get(f"{envoy.settings.admin_url}/stats/prometheus")).text
            assert counters(page)["envoy_cluster_upstream_rq_active_overflow", "a"] == refused
            assert counters(page)["envoy_cluster_upstream_rq", "a"] == 60 - refused
            await actuator.close()
    lines = [json.loads(line) for line in envoy.settings.access_log.read_text().splitlines()]
    assert Counter(line["flags"] for line in lines) == {"-": 60 - refused, "UO": refused}


@pytest.mark.live
async def test_the_page_is_small_fresh_and_finely_bucketed_and_the_log_keeps_our_ids(
    tmp_path: Path, stand_in: dict[str, tuple[int, ...]]
) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        Rotation(tmp_path / "rotation", None, client, 1.0).publish(stand_in)
        async with running_envoy(tmp_path, tmp_path / "rotation") as envoy:
            answer = await client.get(f"{envoy.settings.url}/x", headers={"x-request-id": "mine"})
            assert answer.headers["x-request-id"] == "mine"
            await asyncio.sleep(0.6)  # two flushes
            page = (await client.get(f"{envoy.settings.admin_url}/stats/prometheus")).text
    assert len(page) < 40_000
    buckets = {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "envoy_http_downstream_rq_time_bucket"
        and sample.labels["envoy_http_conn_manager_prefix"] == "gateway"
    }
    assert sorted(buckets)[:-1] == list(BUCKETS_MS)
    assert buckets[float("inf")] == 1.0
    assert buckets[5.0] == 0.0
    entry = json.loads(envoy.settings.access_log.read_text())
    assert (entry["request_id"], entry["code"], entry["pool"], entry["replica"]) == (
        "mine", 200, "a", "a-1",
    )  # fmt: skip
    assert entry["upstream"] == f"127.0.0.1:{stand_in['a'][0]}"


@pytest.mark.live
async def test_a_new_rotation_is_taken_and_seen_to_be_taken(
    tmp_path: Path, stand_in: dict[str, tuple[int, ...]]
) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        folder = tmp_path / "rotation"
        Rotation(folder, None, client, 1.0).publish({"a": (*stand_in["a"], 9), "b": ()})
        async with running_envoy(tmp_path, folder) as envoy:
            rotation = Rotation(folder, envoy.settings.admin_url, client, 60.0)
            rotation.publish({"a": stand_in["a"], "b": ()})
            assert await rotation.until_gone(9)
            answers = [await client.get(f"{envoy.settings.url}/x") for _ in range(6)]
            assert {answer.status_code for answer in answers} == {200}
            assert not await Rotation(folder, envoy.settings.admin_url, client, 0.3).until_gone(
                stand_in["a"][0]
            )


@pytest.mark.live
def test_envoy_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    script = f"""
import asyncio, pathlib, time
from homeostat.demo.envoy import Envoy, EnvoySettings
folder = pathlib.Path({str(tmp_path)!r})
settings = EnvoySettings(port={settings.port}, admin_port={settings.admin_port},
                         folder=folder / "e", rotation_folder=folder)
print(asyncio.run(Envoy.start(settings)).pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        assert process.is_running()
        os.kill(parent.pid, signal.SIGKILL)
    gone, _ = psutil.wait_procs([process], timeout=5.0)
    assert gone
