"""Model servers of the testbed for a chaos run: forked from one process that has all imported.

    python tests/live/chaos_servers.py

Reads one `ServerSettings` as JSON a line, forks a server of it and answers with its process id.
Servers end with this process, and it ends with its stdin.
"""

import json
import os
import signal
import sys
from pathlib import Path

from homeostat.demo import model_server
from homeostat.demo.host_child import die_with_parent, serve_in_child
from homeostat.demo.server_settings import ServerSettings


def main() -> None:
    """Fork until stdin ends."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is not waited for
    for line in sys.stdin:
        plain = json.loads(line)
        settings = ServerSettings(**plain | {"artefacts": Path(plain["artefacts"])})
        pid = os.fork()
        if pid == 0:
            serve_in_child(f"{model_server.__name__}:serve", settings)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
