"""A worker that speaks the protocol and rehearses nothing: answers, sleeps, dies, raves."""

import os
import sys
import time
from pathlib import Path

from homeostat.base import codec
from homeostat.base.rehearsal import Rehearsal, Trust
from homeostat.server import twin_frames
from homeostat.server.twin_frames import PARTS, packed

source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
how, pids = sys.argv[1], Path(sys.argv[2])
pids.write_text(pids.read_text() + f"{os.getpid()}\n" if pids.exists() else f"{os.getpid()}\n")
if twin_frames.read(source, 1) is None or how == "dies at once":
    sys.exit(1)
if how == "never ready":
    time.sleep(60)
sink.write(packed([b"ready"]))
sink.flush()
while (parts := twin_frames.read(source, PARTS)) is not None:
    command = codec.decode(parts[0])
    if how == "dies":
        sys.exit(3)
    if how == "slow":
        time.sleep(0.6)
    said = Rehearsal(
        id=command.id, at=command.at, horizon_ns=command.horizon_ns, draws=command.draws,
        prospects=(), trust=Trust(),
    )  # fmt: skip
    sink.write(packed([b"nonsense" if how == "nonsense" else codec.encode(said)]))
    sink.flush()
