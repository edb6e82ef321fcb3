"""The token file: whole and private from its first moment, or not there."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.server.api.app import TOKEN_MIN
from homeostat.server.bearer import token_in


@pytest.fixture(params=[0o000, 0o077, 0o377], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_token_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = token_in(file)
    assert len(token) >= TOKEN_MIN
    assert token_in(file) == token
    assert file.read_text(encoding="utf-8") == token + "\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.usefixtures("umask")
def test_its_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    token_in(tmp_path / "token")
    assert mode(tmp_path / "token") == 0o600


@pytest.mark.parametrize("umask", [0], indirect=True)
@pytest.mark.usefixtures("umask")
def test_no_file_is_ever_open_to_others_nor_seen_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at after each step that the file system sees, with a umask that forbids nothing."""
    file, seen = tmp_path / "token", list[int]()

    def looking(name: str) -> None:
        real = getattr(os, name)

        def step(*args: Any, **more: Any) -> Any:
            done = real(*args, **more)
            seen.extend(mode(one) for one in tmp_path.iterdir())
            if file.exists():
                assert len(file.read_text(encoding="utf-8").strip()) >= TOKEN_MIN
            return done

        monkeypatch.setattr(os, name, step)

    for name in ("open", "fchmod", "fsync", "link", "close"):
        looking(name)
    token_in(file)
    assert len(seen) >= 4
    assert set(seen) == {0o600}


@pytest.mark.parametrize("step", ["open", "fchmod", "fsync", "link"])
def test_a_step_that_fails_leaves_nothing_behind(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(ConfigError, match=r"token file .*No space left"):
            token_in(tmp_path / "token")
    assert list(tmp_path.iterdir()) == []
    assert len(token_in(tmp_path / "token")) >= TOKEN_MIN


def test_a_controller_killed_on_the_way_leaves_no_token_file(tmp_path: Path) -> None:
    """The child dies without a chance to tidy up, where the content is not on the disk yet."""
    file = tmp_path / "token"
    child = (
        "import os, pathlib, sys; from homeostat.server.bearer import token_in; "
        "os.fsync = lambda _: os._exit(9); token_in(pathlib.Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", child, file], check=False).returncode == 9
    assert not file.exists()
    assert {mode(one) for one in tmp_path.iterdir()} == {0o600}
    assert len(token_in(file)) >= TOKEN_MIN


def test_controllers_that_start_at_once_share_one_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(token_in, [file] * 32))
    assert tokens == {file.read_text(encoding="utf-8").strip()}
    assert list(tmp_path.iterdir()) == [file]


def test_its_folder_is_made_like_the_journals(tmp_path: Path) -> None:
    file = tmp_path / "state" / "homeostat" / "token"
    assert token_in(file) == file.read_text(encoding="utf-8").strip()
    assert mode(file.parent) == 0o700


def test_a_file_that_is_no_text_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="holds no text; remove it"):
        token_in(tmp_path / "token")


def test_without_a_file_every_call_has_its_own() -> None:
    assert token_in(None) != token_in(None)
