"""What breaks when in a chaos run: drawn from a seed, known before anything starts.

Three tracks side by side. Parts are killed (SIGKILL) or stopped (SIGSTOP) and come back after a
while, model servers likewise, so that there is something to heal, and now and then a person throws
the kill switch or freezes changes while a server fails.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from typing_extensions import override

LEADER, STANDBY = "leader", "standby"
HAPROXY, PROMETHEUS, POSTGRESQL = "haproxy", "prometheus", "postgresql"
PARTS: Final = (LEADER, STANDBY, HAPROXY, PROMETHEUS, POSTGRESQL)
FAILING: Final = ("a-1", "a-2", "a-3", "a-4")
SERVERS: Final = (*FAILING, "b-1")  # the last one of its pool is never taken out, so it stays well
KILL, STOP = "kill", "stop"
SWITCH, FREEZE = "kill switch", "freeze"
# The leader most of all: it is the one who acts.
_WEIGHTS: Final[Mapping[str, int]] = MappingProxyType({
    LEADER: 4,
    STANDBY: 1,
    HAPROXY: 2,
    PROMETHEUS: 2,
    POSTGRESQL: 2,
})
_QUIET_S: Final = 20.0  # until the first part breaks; servers fail from the start
# From one failure to the next: a controller that begins to lead meanwhile learns for 8 rounds.
_CALM_S: Final = (50.0, 65.0)
_ILL_S: Final = (26.0, 32.0)  # a dozen rounds: time enough to prove it and to take it out
_REST_S: Final = 2.0  # a part that came back stays for so long at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that is done to the run.

    Attributes:
        at_s: When, seconds from the beginning.
        what: A part, a model server, the kill switch or a freeze.
        how: `kill` or `stop`; for the kill switch its level, for a freeze nothing.
        for_s: How long, in seconds; then it is put right.
    """

    at_s: float
    what: str
    how: str
    for_s: float

    @override
    def __str__(self) -> str:
        """Return it as one line of the printed schedule."""
        what = f"{self.how} {self.what}".strip()
        return f"{self.at_s:6.1f} s  {what} for {self.for_s:.1f} s"


def schedule(seed: int, seconds: float) -> tuple[Step, ...]:
    """Return what happens in a run, by time; the same for the same arguments.

    Args:
        seed: Of everything that is drawn.
        seconds: How long the run is; nothing begins in the last tenth of it.

    Raises:
        ValueError: The run is too short to break every part once.
    """
    if not 60.0 <= seconds <= 24 * 3600.0:
        raise ValueError(f"a run takes 60 s to a day, got {seconds:g} s; say --minutes 1 or more")
    end = 0.9 * seconds
    steps = [
        *_parts(random.Random(f"parts-{seed}"), end),
        *_servers(random.Random(f"servers-{seed}"), end),
        *_holds(random.Random(f"holds-{seed}"), end),
    ]
    return tuple(sorted(steps, key=lambda step: (step.at_s, step.what)))


def _parts(chance: random.Random, end: float) -> Iterator[Step]:
    first = list(PARTS)
    chance.shuffle(first)
    at, back = _QUIET_S, dict.fromkeys(PARTS, 0.0)
    # So dense at first that each part breaks once also in the shortest run.
    gap = min(8.0, (end - _QUIET_S) / (len(PARTS) + 1))
    while at < end:
        free = [part for part in PARTS if back[part] <= at]
        part = first.pop() if first else _drawn(chance, free)
        how = KILL if chance.random() < 0.6 else STOP
        for_s = chance.uniform(0.3, 4.0) if how == KILL else chance.uniform(1.0, 9.0)
        yield Step(at_s=at, what=part, how=how, for_s=for_s)
        back[part] = at + for_s + _REST_S
        at += chance.uniform(0.5, 1.5) * gap if first else chance.uniform(6.0, 18.0)


def _drawn(chance: random.Random, free: Sequence[str]) -> str:
    return chance.choices(free, [_WEIGHTS[part] for part in free])[0]


def _servers(chance: random.Random, end: float) -> Iterator[Step]:
    at, back, server = 1.0, dict.fromkeys(FAILING, 0.0), ""
    while at < end:
        # Another one than the last, which is put back meanwhile.
        free = [one for one in FAILING if back[one] <= at and one != server]
        if free:
            server = chance.choice(free)
            # One that hangs still takes connections, so that HAProxy sends it more; one that is
            # gone HAProxy leaves out by itself, and a person is told.
            how = KILL if chance.random() < 0.15 and at > 1.0 else STOP
            for_s = chance.uniform(*_ILL_S)
            yield Step(at_s=at, what=server, how=how, for_s=for_s)
            back[server] = at + for_s + 3 * _REST_S
        at += chance.uniform(*_CALM_S)


def _holds(chance: random.Random, end: float) -> Iterator[Step]:
    at, which = chance.uniform(0.5, 0.7) * min(end, 90.0), chance.choice((SWITCH, FREEZE))
    while at < end:
        for_s = min(chance.uniform(9.0, 16.0), 0.25 * end)
        level = chance.choice(("no_new", "nothing")) if which == SWITCH else ""
        yield Step(at_s=at, what=which, how=level, for_s=for_s)
        which = FREEZE if which == SWITCH else SWITCH
        at += for_s + chance.uniform(25.0, 60.0)
