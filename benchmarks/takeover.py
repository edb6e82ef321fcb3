"""How long until a standby leads when the leader is gone or cut off: a lease and 5 s at most.

Two real controllers on networks of their own, one PostgreSQL, a target that writes down when the
next epoch reaches it. A cut is silent: nothing is refused or closed. Each way is tried `--times`
times for each `--lease`; prints a table, and exits with 1 where one took longer than it may.

    python benchmarks/takeover.py [--lease 1 --lease 15] [--times 3]
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

ROOT: Final = Path(__file__).parents[1]
for room in ("server", "demo", "adapters/stores"):
    sys.path.insert(0, str(ROOT / "tests" / room))

from cut_harness import Cut, cut_staged, other  # noqa: E402 - found through the lines above
from cut_net import BOTH, Way, missing  # noqa: E402

_MARGIN_S: Final = 5.0
_SEED: Final = 20240229
_INTERVAL: Final = "500ms"


def _gone(cut: Cut, side: str) -> None:
    cut.lives.pop(side).kill()


def _in_order(cut: Cut, side: str) -> None:
    life = cut.lives.pop(side)
    life.signal(signal.SIGTERM)
    assert life.reap() == 0, life.said()


def _asleep(cut: Cut, side: str) -> None:
    cut.lives[side].signal(signal.SIGSTOP)


def _cut(ways: tuple[Way, ...]) -> Callable[[Cut, str], None]:
    return lambda cut, side: cut.cut(side, ways)


_LOST: Final[Mapping[str, tuple[Way, ...]]] = MappingProxyType({
    "cut off, both ways": BOTH,
    "cut off, hears nothing": ("to",),
    "cut off, says nothing": ("from",),
})
WAYS: Final[Mapping[str, Callable[[Cut, str], None]]] = MappingProxyType({
    "ended in order (SIGTERM)": _in_order,
    "killed (SIGKILL)": _gone,
    "stopped (SIGSTOP)": _asleep,
    **{way: _cut(lost) for way, lost in _LOST.items()},
})


def once(cut: Cut, way: str, chance: random.Random) -> float:
    """Take a leader away in one way and return after how many seconds the next one leads."""
    leads = cut.leads()
    waits, relay = other(leads), cut.stage.relay
    epoch = relay.epoch()
    cut.standing_by(waits)
    time.sleep(chance.uniform(0.5, 1.5))  # anywhere between two renewals and two looks
    began = time.monotonic()
    WAYS[way](cut, leads)
    assert relay.wait_for_claim(epoch, 120.0), cut.lives[waits].said()
    took = time.monotonic() - began
    _put_right(cut, leads, way)
    cut.start(leads)
    return took


def _put_right(cut: Cut, side: str, way: str) -> None:
    """Undo what was done to a machine; its old controller ends by itself, if it still runs."""
    life = cut.lives.get(side)
    if life is None:
        return
    if way in _LOST:
        cut.mend(side, _LOST[way])
    else:
        life.signal(signal.SIGCONT)
    assert os.waitstatus_to_exitcode(life.reap()) == 1, life.said()


def measure(lease_s: int, times: int) -> dict[str, list[float]]:
    """Return how long each way took, seconds, and check that nothing was doubled or stranded.

    Raises:
        SystemExit: There is no PostgreSQL.
    """
    chance = random.Random(_SEED)
    with tempfile.TemporaryDirectory() as made:
        place = cut_staged(Path(made), _SEED, lease=f"{lease_s}s", interval=_INTERVAL)
        with place as cut:
            if cut is None:
                raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
            cut.start_both()
            found = {way: [once(cut, way, chance) for _ in range(times)] for way in WAYS}
            leads = cut.leads()
            cut.lives.pop(other(leads)).kill()
            said = cut.end(leads)
            print(f"lease {lease_s} s: {len(said.lives)} lives, {len(said.written)} writes checked")
    return found


def table(found: Mapping[int, Mapping[str, list[float]]]) -> str:
    """Return what was measured, a row for each lease and way."""
    rows = ["lease  may take  median  longest  how the leader went"]
    for lease_s, ways in found.items():
        for way, took in ways.items():
            middle, longest = statistics.median(took), max(took)
            may = lease_s + _MARGIN_S
            rows.append(f"{lease_s:4} s  {may:6.1f} s  {middle:4.1f} s  {longest:5.1f} s  {way}")
    return "\n".join(rows)


def main() -> int:
    """Measure, print, and return whether each took as long as it may."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lease", type=int, action="append", help="seconds; repeat for more")
    parser.add_argument("--times", type=int, default=3, help="each way, for each lease")
    wanted = parser.parse_args()
    if why := missing():
        print(f"not measured: {why}", file=sys.stderr)
        return 2
    found = {lease_s: measure(lease_s, wanted.times) for lease_s in wanted.lease or [1, 5, 15]}
    print(table(found))
    late = [
        f"{way} under a lease of {lease_s} s"
        for lease_s, ways in found.items()
        for way, took in ways.items()
        if max(took) > lease_s + _MARGIN_S
    ]
    if late:
        print("longer than it may: " + "; ".join(late), file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
