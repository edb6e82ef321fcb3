"""Where compiled programs are kept: one folder for each processor, and no trust in the disk."""

from pathlib import Path

import pytest

from homeostat.server import compiled


def test_every_processor_has_a_folder_of_its_own_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    one, other = {"flags": "sse avx"}, {"flags": "sse"}
    assert compiled.folder(one) != compiled.folder(other)
    assert compiled.folder(one).parent == tmp_path / "caches" / "homeostat" / "jax"
    assert compiled.folder(one, tmp_path) == tmp_path / compiled.folder(one).name


def test_programs_come_back_by_name_and_leave_no_halves(tmp_path: Path) -> None:
    store = compiled.Folder(tmp_path / "deep")
    assert store.get("a" * 64) is None
    store.put("a" * 64, b"code")
    store.put("a" * 64, b"newer code")
    assert store.get("a" * 64) == b"newer code"
    assert store.get("b" * 64) is None
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_a_folder_that_cannot_be_written_keeps_nothing_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    store = compiled.Folder(tmp_path / "file" / "deep")
    store.put("a" * 64, b"code")
    assert store.get("a" * 64) is None


def test_other_flags_of_the_compiler_are_another_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    plain = compiled.Folder(tmp_path).mark
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    assert compiled.Folder(tmp_path).mark != plain


def test_another_source_is_another_digest_and_other_rooms_do_not_count(tmp_path: Path) -> None:
    for room in ("twin", "lab"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "part.py").write_text("one = 1\n", encoding="utf-8")
    before = compiled.digest_of(tmp_path, ["twin"])
    (tmp_path / "lab" / "part.py").write_text("one = 2\n", encoding="utf-8")
    assert compiled.digest_of(tmp_path, ["twin"]) == before
    (tmp_path / "twin" / "part.py").write_text("one = 2\n", encoding="utf-8")
    assert compiled.digest_of(tmp_path, ["twin"]) != before


def test_a_worker_compiles_into_the_folder_it_is_given(tmp_path: Path) -> None:
    said = compiled.environment(tmp_path)
    assert said["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)
    assert said["JAX_PLATFORMS"] == "cpu"
