"""kill -9 at random moments: the chain verifies, and every acknowledged durable append is there.

A killed process loses nothing the kernel already has, so this does not show what a power cut does;
`synchronous=FULL` and SQLite's own power-loss tests stand for that.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat.adapters.stores.sqlite import SqliteSettings, build

KILLS = 20
ENOUGH = 100  # acknowledged appends


@pytest.fixture
def writers() -> Iterator[subprocess.Popen[bytes]]:
    """Yield what forks writers; this process may have threads, and does not fork itself."""
    command = [sys.executable, str(Path(__file__).with_name("crash_writer.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writers:
        yield writers


def _tell(writers: subprocess.Popen[bytes], word: str) -> None:
    assert writers.stdin is not None
    writers.stdin.write(f"{word}\n".encode())
    writers.stdin.flush()


def _heard(writers: subprocess.Popen[bytes], last: bytes) -> tuple[list[bytes], bytes]:
    """Return what is said before the line that begins so, and what that line says."""
    assert writers.stdout is not None
    said: list[bytes] = []
    while line := writers.stdout.readline():
        if line.startswith(last):
            return said, line[1:-1]
        said.append(line[:-1])
    pytest.fail(f"the writers ended before saying {last!r}; they said {said}")


def _life(writers: subprocess.Popen[bytes], path: Path, seconds: float) -> list[bytes]:
    """Run a writer for so long, kill it, and return its acknowledgements."""
    _tell(writers, f"start {path}")
    early, pid = _heard(writers, b"p")
    time.sleep(seconds)
    os.kill(int(pid), signal.SIGKILL)
    _tell(writers, f"reap {int(pid)}")
    return early + _heard(writers, b"d")[0]


@pytest.mark.live
def test_killed_at_any_moment_it_keeps_what_it_acknowledged(
    tmp_path: Path, writers: subprocess.Popen[bytes]
) -> None:
    path = tmp_path / "j.db"
    chance = random.Random(9)
    acknowledged: dict[int, bytes] = {}
    epochs: list[int] = []
    lives = 0
    # On a busy machine a life may end before its first word: then a few more are taken.
    while lives < KILLS or (len(acknowledged) <= ENOUGH and lives < 10 * KILLS):
        lives += 1
        for line in _life(writers, path, chance.uniform(0.0, 0.25)):
            if line[:1] == b"e":
                epochs.append(int(line[1:]))
            else:
                seq, body = line[1:].split(b" ")
                assert int(seq) not in acknowledged
                acknowledged[int(seq)] = body
        if not path.exists():
            continue
        journal = build(SqliteSettings(path=path, reserve_bytes=0))
        commands = {entry.seq: entry.body for entry in journal.read(kinds=("command",))}
        journal.close()
        missing = {seq: body for seq, body in acknowledged.items() if commands.get(seq) != body}
        assert missing == {}
        assert len(commands) <= len(acknowledged) + lives  # at most one unacknowledged a life
    assert epochs == sorted(set(epochs))
    assert len(acknowledged) > ENOUGH
