"""The host's small parts: settings, store, rotation files, log, and how it refuses to start."""

import dataclasses
import json
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest

from homeostat.base.errors import ConfigError
from homeostat.base.world import Scalar
from homeostat.demo import host
from homeostat.demo.host_document import first_document
from homeostat.demo.host_log import KEPT, HostLog
from homeostat.demo.host_rotation import Rotation, rotation_file
from homeostat.demo.host_settings import HostSettings, PoolSettings, check_settings, read_settings
from homeostat.demo.host_store import NAME, DocumentStore

LEVERS: dict[str, Scalar] = {"replicas.a": 1, "version.a": "v1"}


def some_settings(folder: Path, **changes: Any) -> HostSettings:
    (folder / "artefacts" / "v1").mkdir(parents=True, exist_ok=True)
    (folder / "artefacts" / "v1" / "manifest.json").write_text("{}")
    base: dict[str, Any] = {
        "port": 18_080,
        "folder": folder / "host",
        "artefacts": folder / "artefacts",
        "pools": (PoolSettings(name="a", version="v1", replicas=1),),
        "die_with_parent": False,
    }
    return HostSettings(**(base | changes))


def test_settings_survive_the_file_they_are_written_to(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, envoy_admin="http://127.0.0.1:1", seed=7)
    file = tmp_path / "settings.json"
    file.write_text(settings.to_json())
    assert read_settings(file) == settings


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"portt": 1}, "portt"),
        ({"port": "80"}, "port"),
        ({"port": 0}, "port"),
        ({"port": True}, "port"),
        ({"spares": -1}, "spares"),
        ({"drain_timeout_s": 0}, "drain_timeout_s"),
        ({"server": "nothing"}, "module:function"),
        ({"pools": []}, "pools"),
        ({"pools": [{"name": "a", "version": "v1", "replicas": 0}]}, "0 replicas"),
        ({"pools": [{"name": "a/b", "version": "v1", "replicas": 1}]}, "alphanumeric"),
        ({"pools": [{"name": "a", "version": "v1", "replicas": 99}]}, "pools.a.replicas"),
        ({"pools": [{"name": "a", "replicas": 1}]}, "version"),
        ({"pools": ["a"]}, "pools"),
    ],
)
def test_absurd_settings_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(json.loads(some_settings(tmp_path).to_json()) | change))
    with pytest.raises(ConfigError, match=word):
        read_settings(file)


@pytest.mark.parametrize("text", ["", "[]", "nonsense"])
def test_a_settings_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"settings\.json"):
        read_settings(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "missing.json")


def test_two_pools_of_one_name_are_refused(tmp_path: Path) -> None:
    pool = PoolSettings(name="a", version="v1", replicas=1)
    settings = dataclasses.replace(some_settings(tmp_path), pools=(pool, pool))
    with pytest.raises(ConfigError, match="distinct"):
        check_settings(settings)


def test_a_port_in_use_ends_the_host_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "settings.json"
        file.write_text(some_settings(tmp_path, port=port).to_json())
        assert host.main(["--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert str(port) in said
    assert "another port" in said


def test_a_missing_artefact_ends_the_host_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = PoolSettings(name="a", version="v7", replicas=1)
    file = tmp_path / "settings.json"
    file.write_text(some_settings(tmp_path, pools=(pool,)).to_json())
    assert host.main(["--config", str(file)]) == 2
    assert "'v7'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="file"):
            DocumentStore(folder, first_document(LEVERS))


def test_a_damaged_document_is_never_taken_for_a_fresh_start(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"revision": 7}')
    with pytest.raises(ConfigError, match="move it aside"):
        DocumentStore(tmp_path, first_document(LEVERS))


def test_a_document_on_disk_wins_over_the_settings(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path, first_document(LEVERS))
    store.save(dataclasses.replace(store.document, revision=9))
    assert DocumentStore(tmp_path, first_document(LEVERS)).document.revision == 9


def test_a_failed_save_leaves_the_old_document_in_force_and_on_disk(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path, first_document(LEVERS))
    (tmp_path / "host.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.save(dataclasses.replace(store.document, revision=9))
    assert store.document.revision == 1
    assert json.loads((tmp_path / NAME).read_text())["revision"] == 1


async def test_a_rotation_file_is_replaced_only_when_it_changes(tmp_path: Path) -> None:
    async with httpx2.AsyncClient() as client:
        rotation = Rotation(tmp_path, None, client, 1.0)
        rotation.publish({"a": (1, 2), "b": ()})
        first = rotation_file(tmp_path, "a").stat().st_ino
        rotation.publish({"a": (1, 2), "b": (3,)})
        assert rotation_file(tmp_path, "a").stat().st_ino == first
        rotation.publish({"a": (2,)})
        assert rotation_file(tmp_path, "a").stat().st_ino != first
        assert (rotation.ports("a"), rotation.ports("b")) == ((2,), (3,))
        assert _names(tmp_path) == ["a.json", "b.json"]
        with pytest.raises(ConfigError, match="cannot be written"):
            Rotation(tmp_path / "a.json", None, client, 1.0).publish({"a": ()})


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def clusters(*ports: int) -> dict[str, Any]:
    hosts = [{"address": {"socket_address": {"port_value": port}}} for port in ports]
    return {"cluster_statuses": [{"name": "a", "host_statuses": hosts}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([clusters(1, 2), clusters(1, 2), clusters(2)], "gone"),
        ([clusters()], "gone"),
        ([clusters(1)], "there"),
        ([{"unexpected": 1}], "there"),
        (["nonsense"], "there"),
        ([None, clusters(1)], "gone"),
    ],
    ids=["leaves", "empty", "stays", "absurd", "text", "no Envoy"],
)
async def test_leaving_means_that_envoy_itself_says_so(
    tmp_path: Path, answers: list[Any], verdict: str
) -> None:
    left = list(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        body = left.pop(0) if len(left) > 1 else left[0]
        if body is None:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, json=body)

    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport) as client:
        rotation = Rotation(tmp_path, "http://envoy", client, 0.3)
        assert await rotation.until_gone(1) is (verdict == "gone")


def test_the_log_is_numbered_without_gaps_and_bounded() -> None:
    log = HostLog()
    for number in range(KEPT + 10):
        log.add("started", slot="a-1", pid=number)
    lines = list(log.after(0))
    assert len(lines) == KEPT
    assert [line["n"] for line in lines] == list(range(11, KEPT + 11))
    assert list(log.after(KEPT + 9)) == [lines[-1]]
