import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.errors import StoreError
from homeostat.base.policy import KillLevel
from homeostat.server.kill import ENV, KillSwitch, strictest, throw_file

OFF, NO_NEW, NOTHING = KillLevel.OFF, KillLevel.NO_NEW, KillLevel.NOTHING


def switch(folder: Path, environ: dict[str, str] | None = None) -> KillSwitch:
    return KillSwitch(folder / "kill", environ or {})


def test_silence_is_off(tmp_path: Path) -> None:
    assert switch(tmp_path).level() is OFF
    assert switch(tmp_path, {ENV: "  "}).level() is OFF


@pytest.mark.parametrize("level", list(KillLevel))
def test_what_is_thrown_is_in_force_and_survives_a_restart(
    tmp_path: Path, level: KillLevel
) -> None:
    switch(tmp_path).throw(level, "ana")
    assert switch(tmp_path).level() is level
    assert "by ana" in (tmp_path / "kill").read_text()


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ("off", OFF),
        ("0", OFF),
        ("OFF\n", OFF),
        ("no_new", NO_NEW),
        ("1", NO_NEW),
        ("nothing", NOTHING),
        (" Nothing because of the migration\n", NOTHING),
        ("2\nby ben\n", NOTHING),
        ("", NO_NEW),  # `touch kill`
        ("\n", NO_NEW),
        ("stop", NO_NEW),
        ("off.", NO_NEW),
        ('{"level": "off"}', NO_NEW),
        ("x" * 5000, NO_NEW),
        ("off" + " " * 5000, NO_NEW),
    ],
)
def test_only_a_clear_word_releases(tmp_path: Path, words: str, level: KillLevel) -> None:
    (tmp_path / "kill").write_text(words)
    assert switch(tmp_path).level() is level


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_whatever_the_file_holds_the_switch_answers(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("kill")
    (folder / "kill").write_bytes(data)
    level = switch(folder).level()
    words = data.decode("utf-8", "replace").lower().split()
    assert level in KillLevel
    assert (level is OFF) == bool(words and words[0] in {"off", "0"} and "\ufffd" not in str(words))


def test_the_strictest_voice_wins(tmp_path: Path) -> None:
    for stored in KillLevel:
        for spoken in KillLevel:
            both = switch(tmp_path, {ENV: spoken.value})
            both.throw(stored, "ana")
            assert both.level() is strictest(stored, spoken)
    assert switch(tmp_path, {ENV: "garbage"}).level() is not OFF


def test_a_file_that_cannot_be_read_counts_as_thrown(tmp_path: Path) -> None:
    (tmp_path / "kill").mkdir()
    assert switch(tmp_path).level() is NO_NEW
    assert switch(tmp_path / "no" / "folder").level() is NO_NEW
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / "kill").symlink_to(tmp_path / "nowhere")
    assert switch(tmp_path / "dangling").level() is NO_NEW
    assert KillSwitch(Path("a\0b"), {}).level() is NO_NEW


@pytest.mark.timeout(10)
def test_a_named_pipe_in_its_place_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kill")
    assert switch(tmp_path).level() is NO_NEW


def test_a_file_without_permission_counts_as_thrown(nobody: Path) -> None:
    (nobody / "kill").write_text("off")
    assert switch(nobody).level() is OFF
    (nobody / "kill").chmod(0)
    assert switch(nobody).level() is NO_NEW


def test_what_cannot_be_stored_is_in_force_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "kill").mkdir()  # the file cannot take its place
    (folder / "kill" / "full").touch()
    thrown = switch(folder)
    with pytest.raises(StoreError, match="kill switch file"):
        thrown.throw(NOTHING, "ana")
    assert thrown.level() is NOTHING
    with pytest.raises(StoreError):
        thrown.throw(OFF, "ana")
    assert thrown.level() is NOTHING  # a release that failed releases nothing
    assert [path.name for path in folder.iterdir()] == ["kill"]  # no litter
    (folder / "kill" / "full").unlink()
    (folder / "kill").rmdir()
    thrown.throw(OFF, "ana")
    assert thrown.level() is OFF


def test_who_threw_it_cannot_forge_a_second_line(tmp_path: Path) -> None:
    throw_file(tmp_path / "kill", NOTHING, "ana\noff\n\x00")
    lines = (tmp_path / "kill").read_text().splitlines()
    assert lines[0] == "nothing"
    assert len(lines) == 2
    assert switch(tmp_path).level() is NOTHING


@pytest.mark.slow
def test_a_reader_never_sees_half_a_word(tmp_path: Path) -> None:
    throw_file(tmp_path / "kill", NOTHING, "start")
    seen: set[KillLevel] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(switch(tmp_path).level())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        throw_file(tmp_path / "kill", NOTHING, "x" * 100)
    done.set()
    reader.join()
    assert seen == {NOTHING}


def test_the_voices_say_why(tmp_path: Path) -> None:
    (tmp_path / "kill").write_text("halt now")
    voices = switch(tmp_path, {ENV: "nothing"}).voices()
    assert [voice.level for voice in voices] == [NO_NEW, NOTHING]
    assert "'halt' is not one of" in voices[0].detail
    assert str(tmp_path / "kill") in voices[0].source
