"""Two machines and a database, each on a network of its own, and a router between that can cut.

Linux' own network namespaces: what is cut is lost in silence, as by a firewall or a dead switch;
no connection is refused or closed. The addresses are those for tests of networks (RFC 2544).
"""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

Way = Literal["from", "to"]
"""What is lost: what a machine sends, or what is sent to it."""
BOTH: Final[tuple[Way, ...]] = ("from", "to")
WEST, EAST = "west", "east"
_BLOCKS: Final = 512  # networks of 256 addresses in 198.18.0.0/15


def missing() -> str:
    """Return why no networks can be made here, empty if they can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed: on Debian, apt-get install iproute2"
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    name = f"homeostat-{os.getpid()}-try"
    if _ip("netns", "add", name, check=False).returncode != 0:
        return "this machine lets nobody make network namespaces"
    _ip("netns", "del", name)
    return ""


@dataclass(frozen=True, slots=True)
class Net:
    """The networks as they are made.

    Attributes:
        tag: Begins the names of everything.
        block: The first three numbers of every address.
    """

    tag: str
    block: str

    @property
    def database(self) -> str:
        """Where a database is reached that listens in the test's own namespace."""
        return f"{self.block}.1"

    @property
    def target(self) -> str:
        """Where a target is reached; a cut from the database leaves it."""
        return f"{self.block}.13"

    @property
    def network(self) -> str:
        """All addresses."""
        return f"{self.block}.0/24"

    def inside(self, side: str) -> tuple[str, ...]:
        """Return what a command begins with to run on a machine."""
        return ("ip", "netns", "exec", f"{self.tag}-{side}")

    def address(self, side: str) -> str:
        """Return a machine's address."""
        return f"{self.block}.{6 if side == WEST else 10}"

    def cut(self, side: str, peer: str, ways: tuple[Way, ...] = BOTH) -> None:
        """Lose what goes between a machine and an address, from now on, in silence."""
        for rule in self._rules(side, peer, ways):
            self._router("rule", "add", *rule, "blackhole")

    def mend(self, side: str, peer: str, ways: tuple[Way, ...] = BOTH) -> None:
        """Let it through again."""
        for rule in self._rules(side, peer, ways):
            self._router("rule", "del", *rule, "blackhole")

    def _rules(self, side: str, peer: str, ways: tuple[Way, ...]) -> list[tuple[str, ...]]:
        here = self.address(side)
        pairs = {"from": (here, peer), "to": (peer, here)}
        return [("from", pairs[way][0], "to", pairs[way][1]) for way in ways]

    def _router(self, *words: str) -> None:
        _ip("-n", f"{self.tag}-router", *words)

    def make(self) -> None:
        """Make the namespaces and the links; the test's own namespace gets one link to them."""
        for one in ("router", WEST, EAST):
            _ip("netns", "add", f"{self.tag}-{one}")
        router, link = f"{self.tag}-router", self.tag
        _ip("link", "add", link, "type", "veth", "peer", "name", "wan", "netns", router)
        _ip("address", "add", f"{self.database}/30", "dev", link)
        _ip("address", "add", f"{self.target}/32", "dev", link)
        _ip("link", "set", link, "up")
        self._router("address", "add", f"{self.block}.2/30", "dev", "wan")
        self._router("link", "set", "wan", "up")
        self._router("route", "add", f"{self.target}/32", "via", self.database)
        for side, gate in ((WEST, 5), (EAST, 9)):
            there = f"{self.tag}-{side}"
            peer = ("type", "veth", "peer", "name", "lan", "netns", there)
            self._router("link", "add", f"{side}-lan", *peer)
            self._router("address", "add", f"{self.block}.{gate}/30", "dev", f"{side}-lan")
            self._router("link", "set", f"{side}-lan", "up")
            _ip("-n", there, "address", "add", f"{self.address(side)}/30", "dev", "lan")
            for name in ("lan", "lo"):
                _ip("-n", there, "link", "set", name, "up")
            _ip("-n", there, "route", "add", "default", "via", f"{self.block}.{gate}")
            _ip("route", "add", f"{self.address(side)}/32", "via", f"{self.block}.2")
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        subprocess.run(["ip", "netns", "exec", router, "sh", "-c", forward], check=True)

    def remove(self) -> None:
        """Take it all away; links go with their namespaces, later."""
        _ip("link", "del", self.tag, check=False)
        for one in ("router", WEST, EAST):
            _ip("netns", "del", f"{self.tag}-{one}", check=False)


@contextmanager
def networks() -> Iterator[Net]:
    """Yield networks whose addresses nobody on this machine uses."""
    known = _ip("route", "show").stdout
    chance = random.SystemRandom()
    blocks = [f"198.{18 + one // 256}.{one % 256}" for one in range(_BLOCKS)]
    free = [block for block in blocks if f"{block}." not in known]
    net = Net(f"hs{os.getpid():d}{chance.randrange(100):02d}", chance.choice(free))
    try:
        net.make()
        yield net
    finally:
        net.remove()


def _ip(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done
