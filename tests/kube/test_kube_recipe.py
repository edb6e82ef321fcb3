"""The recipe of the real API server: one place for its result, and no host in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kube_binaries

ROOT = Path(__file__).parents[2]
TEXT = kube_binaries.RECIPE.read_text(encoding="utf-8")


def said(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [str(kube_binaries.RECIPE), *words]
    env = {**os.environ, **more}
    env.pop("HOMEOSTAT_KUBE", None)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)


def test_the_tests_look_where_the_recipe_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOMEOSTAT_KUBE", raising=False)
    for cache in ("", str(tmp_path)):
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        done = said("where", XDG_CACHE_HOME=cache)
        assert done.stdout.strip() == str(kube_binaries.folder())
    monkeypatch.setenv("HOMEOSTAT_KUBE", str(tmp_path / "mine"))
    assert kube_binaries.folder() == tmp_path / "mine"


def test_what_is_not_there_is_named_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_KUBE", str(tmp_path))
    assert kube_binaries.missing().startswith(
        "no kube-apiserver and no kube-controller-manager in "
    )
    assert kube_binaries.missing().endswith(": make kube")
    assert kube_binaries.apiserver() is None
    for name in kube_binaries.NAMES:
        (tmp_path / name).touch()
    assert "kube" not in kube_binaries.missing()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kube_binaries.missing() == "etcd is not installed: apt-get install etcd-server"


def test_a_word_that_is_none_is_an_error_and_builds_nothing(tmp_path: Path) -> None:
    done = said("biuld", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "unknown word 'biuld'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_has_been_built_is_not_built_again(tmp_path: Path) -> None:
    there = Path(said("where", XDG_CACHE_HOME=str(tmp_path)).stdout.strip())
    there.mkdir(parents=True)
    for name in kube_binaries.NAMES:
        (there / name).touch(mode=0o755)
    done = said(XDG_CACHE_HOME=str(tmp_path))
    assert (done.returncode, done.stdout.strip()) == (0, str(there))


def test_the_recipe_names_no_host_and_make_runs_it() -> None:
    assert not re.search(r"https?://|[a-z]+\.(org|com|net|io)\b", TEXT.replace("github.com", ""))
    assert re.search(r"^sha256=[0-9a-f]{64}$", TEXT, re.MULTILINE)
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^kube:[^\n]*\n\t@tests/kube/build\.sh$", make, re.MULTILINE)
