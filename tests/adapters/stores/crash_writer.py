"""Forks writers of a journal, each to be killed: a life without the imports before it.

Commands on stdin: `start PATH` begins a life, whose words follow on stdout: `p` and its pid, `e`
and its epoch, `a` with the sequence number and the body of what was durably written.
`reap PID` waits for its end and says `d`.
"""

import os
import sys
from pathlib import Path

from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.units import TimeNs


def write_until_killed(path: Path) -> None:
    """Append durable and other rows, drop frames, and say what was acknowledged as durable."""
    journal = build(SqliteSettings(path=path, reserve_bytes=0))
    epoch = journal.claim_epoch(f"pid-{os.getpid()}", TimeNs(1))
    os.write(1, b"e%d\n" % epoch)
    number = 0
    while True:
        number += 1
        at = TimeNs(number)
        frame = (at, "", "frame", b"f" * 2000)
        journal.append([frame], durable=False)
        body = b"%d.%d" % (epoch, number)
        written = journal.append([(at, "m", "command", body)], durable=True)
        os.write(1, b"a%d %s\n" % (written[-1].seq, body))
        if number % 7 == 0:
            journal.prune(before=at, now=at)


def main() -> None:
    """Obey until stdin ends."""
    for line in sys.stdin:
        word, what = line.rstrip("\n").split(" ", 1)
        if word == "reap":
            os.waitpid(int(what), 0)
            os.write(1, b"d\n")
            continue
        pid = os.fork()
        if pid == 0:
            os.close(0)
            write_until_killed(Path(what))
        os.write(1, b"p%d\n" % pid)


if __name__ == "__main__":
    main()
