"""A PostgreSQL server of a test's own: a fresh cluster on a Unix socket, run by nobody special.

initdb refuses root, so root starts it as the user without rights.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NOBODY: Final = 65534  # the user without rights, on every Linux
_ROOM: Final = 512 * 1024 * 1024  # a cluster and its log of 64 MB, with room to spare
# Durability as in production: only what costs memory is made smaller.
SETTINGS: Final = {
    "shared_buffers": "8MB",
    "max_connections": "40",
    "max_wal_size": "64MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def binaries() -> Path | None:
    """Return the folder that holds the server's programs, None if it is not installed."""
    found = shutil.which("pg_ctl")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return versions[-1].parent if versions else None


class Server:
    """One cluster; it may be stopped, crashed and started again.

    Args:
        programs: Where initdb and pg_ctl are.
        folder: An empty folder that the server's user may write.
        listen: An address that others reach it at as well, and the network that they are in.
    """

    def __init__(self, programs: Path, folder: Path, listen: tuple[str, str] | None = None) -> None:
        self._programs, self.folder = programs, folder
        self._databases, self._listen = 0, listen

    def make(self) -> None:
        """Make the cluster; nothing of it is worth a wait for the disk."""
        self._run("initdb", "-N", "-A", "trust", "-U", "homeostat", "-E", "UTF8", "--locale=C")
        if self._listen is not None:
            with (self.folder / "data" / "pg_hba.conf").open("a", encoding="utf-8") as rights:
                rights.write(f"host all all {self._listen[1]} trust\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        listen = "''" if self._listen is None else self._listen[0]
        settings = SETTINGS | {"listen_addresses": listen}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        socket = f"-k {self.folder}"
        self._run("pg_ctl", "-w", "-t", "60", "-l", f"{self.folder}/log", "-o",
                  f"{socket} {options}", "start")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash: nothing is written any more, it recovers later."""
        self._run("pg_ctl", "-w", "-t", "60", "-m", mode, "stop")

    def database(self) -> str:
        """Make an empty database and return its URL."""
        self._databases += 1
        name = f"journal_{self._databases}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        """Return a database's URL."""
        return f"postgresql://homeostat@/{name}?host={self.folder}"

    def sql(self, database: str, statement: str) -> str:
        """Run a statement as an administrator and return what psql prints."""
        where = ("-h", str(self.folder), "-U", "homeostat", "-d", database)
        command = [str(self._programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *where]
        done = subprocess.run(
            [*command, "-c", statement], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", f"{self.folder}/data", *arguments]
        root = os.geteuid() == 0
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            text=True,
            user=NOBODY if root else None,
            group=NOBODY if root else None,
            extra_groups=[] if root else None,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr}"


@contextmanager
def running(listen: tuple[str, str] | None = None) -> Iterator[Server | None]:
    """Yield a running server, None where PostgreSQL is not installed. See `Server`."""
    programs = binaries()
    if programs is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="homeostat-pg-", dir=_memory()))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    server = Server(programs, folder, listen)
    try:
        server.make()
        server.start()
        yield server
        server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """Return a folder in memory, None if it is small: a crash's recovery syncs every file."""
    found = Path("/dev/shm")
    if not os.access(found, os.W_OK) or shutil.disk_usage(found).free < _ROOM:
        return None
    return found
