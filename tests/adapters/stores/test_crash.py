"""kill -9 at random moments: the chain verifies, and every acknowledged durable append is there.

A killed process loses nothing the kernel already has, so this does not show what a power cut does;
`synchronous=FULL` and SQLite's own power-loss tests stand for that.
"""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.units import TimeNs

KILLS = 40
ENOUGH = 100  # acknowledged appends


def _settings(path: Path) -> SqliteSettings:
    return SqliteSettings(path=path, reserve_bytes=0)


def _write_until_killed(path: Path, acknowledge: int) -> None:
    """Append durable and other rows, drop frames, and say what was acknowledged as durable."""
    journal = build(_settings(path))
    epoch = journal.claim_epoch(f"pid-{os.getpid()}", TimeNs(1))
    os.write(acknowledge, b"e%d\n" % epoch)
    number = 0
    while True:
        number += 1
        at = TimeNs(number)
        frame = (at, "", "frame", b"f" * 2000)
        journal.append([frame], durable=False)
        body = b"%d.%d" % (epoch, number)
        written = journal.append([(at, "m", "command", body)], durable=True)
        os.write(acknowledge, b"a%d %s\n" % (written[-1].seq, body))
        if number % 7 == 0:
            journal.prune(before=at, now=at)


def _life(path: Path, seconds: float) -> list[bytes]:
    """Run a writer for so long, kill it, and return its whole acknowledgements."""
    read_end, write_end = os.pipe()
    child = multiprocessing.get_context("fork").Process(
        target=_write_until_killed, args=(path, write_end), daemon=True
    )
    child.start()
    os.close(write_end)
    assert child.pid is not None
    time.sleep(seconds)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    said = b""
    while chunk := os.read(read_end, 65536):
        said += chunk
    os.close(read_end)
    return said.split(b"\n")[:-1]


@pytest.mark.live
def test_killed_at_any_moment_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    chance = random.Random(9)
    acknowledged: dict[int, bytes] = {}
    epochs: list[int] = []
    lives = 0
    # On a busy machine a life may end before its first word: then a few more are taken.
    while lives < KILLS or (len(acknowledged) <= ENOUGH and lives < 10 * KILLS):
        lives += 1
        for line in _life(path, chance.uniform(0.0, 0.25)):
            if line[:1] == b"e":
                epochs.append(int(line[1:]))
            else:
                seq, body = line[1:].split(b" ")
                assert int(seq) not in acknowledged
                acknowledged[int(seq)] = body
        if not path.exists():
            continue
        journal = build(_settings(path))
        commands = {entry.seq: entry.body for entry in journal.read(kinds=("command",))}
        journal.close()
        missing = {seq: body for seq, body in acknowledged.items() if commands.get(seq) != body}
        assert missing == {}
        assert len(commands) <= len(acknowledged) + lives  # at most one unacknowledged a life
    assert epochs == sorted(set(epochs))
    assert len(acknowledged) > ENOUGH
