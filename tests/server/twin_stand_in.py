"""A worker that speaks the protocol and rehearses nothing: answers, sleeps, dies, raves.

Arguments: how it behaves, and the file that gets its process id.
"""

import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

from homeostat.base import codec
from homeostat.base.rehearsal import Rehearsal, Trust
from homeostat.server import twin_frames
from homeostat.server.twin_frames import PARTS, packed


def say(sink: BinaryIO, part: bytes) -> None:
    """Send a frame of one part."""
    sink.write(packed([part]))
    sink.flush()


def main(how: str, pids: Path) -> int:
    """Behave so until the pipe ends; return the exit status."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with pids.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if twin_frames.read(source, 1) is None or how == "dies at once":
        return 1
    if how == "never ready":
        time.sleep(60)
    say(sink, b"ready")
    while (parts := twin_frames.read(source, PARTS)) is not None:
        command = codec.decode(parts[0])
        if how == "dies":
            return 3
        if how == "slow":
            time.sleep(0.6)
        said = Rehearsal(
            id=command.id, at=command.at, horizon_ns=command.horizon_ns, draws=command.draws,
            prospects=(), trust=Trust(),
        )  # fmt: skip
        say(sink, b"nonsense" if how == "nonsense" else codec.encode(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
