"""The twin's worker process: reads questions, answers with rehearsals, and ends with its parent.

Its own process, because compiling takes seconds and a rehearsal a large part of one: the
controller's loop must not wait for either. One thread of XLA, a limit on memory, and no hands: it
can reach nothing but its two pipes and the folder of compiled programs.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

from homeostat.base import codec
from homeostat.base.events import Rehearse
from homeostat.base.policy import Managed
from homeostat.base.units import TimeNs
from homeostat.server import compiled, twin_frames
from homeostat.twin import store
from homeostat.twin.fit_file import from_plain
from homeostat.twin.rehearse_answer import Asked, Theatre, answer, warm
from homeostat.twin.rehearse_prior import Prior
from homeostat.twin.rehearse_trust import Standing

READY: Final = b"ready"
_PR_SET_PDEATHSIG: Final = 1  # Linux, prctl(2)
_NICE: Final = 5  # behind the controller, before everything that is only talk


def main() -> int:
    """Answer questions until the parent goes."""
    source, sink = _alone()
    begun = twin_frames.read(source, 1)
    if begun is None:
        return 0
    plain = json.loads(begun[0])
    _limit(int(plain["memory_bytes"]))
    if cache := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        store.use(compiled.Folder(Path(cache)))
    theatre = _theatre(plain)
    for slots in plain["slots"]:
        warm(theatre, slots)
    _send(sink, READY)
    while (parts := twin_frames.read(source, twin_frames.PARTS)) is not None:
        _send(sink, codec.encode(answer(theatre, _asked(parts))))
    return 0


def _alone() -> tuple[BinaryIO, BinaryIO]:
    """Bind this process to its parent, and keep what anybody prints off the pipe."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or (len(sys.argv) > 1 and int(sys.argv[1]) != parent):
        os._exit(1)  # the parent went before it could be bound to
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's
    os.nice(_NICE)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, sink


def _limit(memory_bytes: int) -> None:
    """Let an allocation beyond the limit fail: this process then ends, and no other."""
    if memory_bytes > 0:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _theatre(plain: dict[str, Any]) -> Theatre:
    return Theatre(
        found=from_plain(plain["fit"], plain["file"]),
        standing=Standing(
            made_at=TimeNs(plain["made_at"]), good=plain["good"], oldest_ns=plain["oldest_ns"]
        ),
        assume={
            name: Prior(low=low, high=high, meaning=name, source="the configuration")
            for name, low, high in plain["assume"]
        },
        draws=plain["draws"],
    )


def _asked(parts: list[bytes]) -> Asked:
    command: Rehearse = codec.decode(parts[0])
    managed, evidence, incident = (codec.decode(part) if part else None for part in parts[1:])
    if not isinstance(managed, Managed):
        raise TypeError(f"a deployment's configuration was expected, got {managed!r}")
    return Asked(
        id=command.id,
        at=command.at,
        managed=managed,
        evidence=evidence,
        incident=incident,
        candidates=command.candidates,
        horizon_ns=command.horizon_ns,
        draws=command.draws,
        seed=command.seed,
    )


def _send(sink: BinaryIO, part: bytes) -> None:
    sink.write(twin_frames.packed([part]))
    sink.flush()


if __name__ == "__main__":
    sys.exit(main())
