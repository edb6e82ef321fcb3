"""Other people's outages, fourth part: clocks, stores, leases, prices and crowds."""

import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

from homeostat.adapters.stores import sqlite
from homeostat.base.errors import CorruptStoreError
from homeostat.base.events import ClockJumped
from homeostat.base.intent import Intent, ReceiptStatus
from homeostat.base.units import HOUR, TimeNs
from homeostat.loop import memory
from homeostat.loop.parts import LoopParts
from homeostat.loop.step import initial, step
from homeostat.testing import guard_cases as cases
from homeostat.testing import guard_scene as g
from homeostat.testing.outages import Outage, Outcome
from homeostat.testing.outages_acting import DOWN, UP, idle_shrinks, refused
from homeostat.testing.outages_blind import allows, refusal
from homeostat.testing.outages_canary import ramp, target
from homeostat.testing.outages_play import Play

_TAMPER: Final = "UPDATE entry SET body = ? WHERE seq = 4"


def _wall_clock() -> Outcome:
    deadline, wall = 60, 0
    wall += 3_600  # the clock is set
    return Outcome(does="every deadline passes at once: everything is rolled back",
                   harm=wall > deadline)  # fmt: skip


def _jumped() -> Outcome:
    scene = g.scene(4)
    nobody = cast("LoopParts", None)  # a jump asks none of the loop's parts
    state, _ = step(nobody, initial(scene.managed), ClockJumped(at=g.NOW, by_ns=HOUR))
    until = memory.guard_state(state).observe_until
    return refused(replace(scene, observe_until=until), DOWN, UP)


def _integrity_says_ok() -> Outcome:
    said = _tampered(_pragma)
    return Outcome(does=f"SQLite's own check says {said!r}: goes on with another history",
                   harm=said == "ok")  # fmt: skip


def _chain_notices() -> Outcome:
    def reopened(path: Path) -> str:
        try:
            journal = sqlite.build(sqlite.SqliteSettings(path=path))
            list(journal.walk())
        except CorruptStoreError as error:
            return str(error)
        journal.close()
        return ""

    said = _tampered(reopened)
    does = "the hash chain notices before anything is decided" if said else "opens it"
    return Outcome(does=does, harm=not said)


def _pragma(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def _tampered(look_at: Callable[[Path], str]) -> str:
    """Return what somebody says of a journal of which one body was changed behind its back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        journal = sqlite.build(sqlite.SqliteSettings(path=path))
        journal.claim_epoch("one", TimeNs(1))
        rows = [(TimeNs(n), g.NAME, "note", b'{"n":%d}' % n) for n in range(1, 6)]
        journal.append(rows, durable=True)
        journal.close()
        with sqlite3.connect(path) as connection:
            connection.execute(_TAMPER, (b'{"n":9}',))
        return look_at(path)


def _two_leaders() -> Outcome:
    written = [("old", 6), ("new", 4), ("old", 6)]  # the lease ran out while one was paused
    return Outcome(
        does="the paused leader writes on after the new one", harm=written[-1][0] == "old"
    )


def _deposed() -> Outcome:
    """A paused leader's write arrives after the new leader has stamped the target."""
    play = Play(action=ramp(), target=target(), replies=False)
    play.go(2)
    late: Intent = play.sent[0][1]
    play.target.revision, play.target.epoch = play.target.revision + 1, 2  # the new one's stamp
    landed = play.target.take(late) is ReceiptStatus.DONE
    state = g.scene(4)
    assert state.world is not None  # noqa: S101 - a scene has one
    stamps = tuple(replace(stamp, epoch=2) for stamp in state.world.stamps)
    deposed = replace(state, world=replace(state.world, stamps=stamps), epoch=1)
    acts = allows(deposed, DOWN)
    does = "the stamp refuses the write, G10 every further one"
    return Outcome(does="it lands" if landed or acts else does, harm=landed or acts)


def _free() -> Outcome:
    budget, price, replicas = 5.0, 0.0, 50
    return Outcome(does=f"{replicas} replicas cost nothing: within the budget",
                   harm=replicas * price <= budget)  # fmt: skip


def _priced_at_nothing() -> Outcome:
    policy = replace(g.POLICY, budget_usd_per_hour=5.0)
    state = g.scene(4, policy=policy)
    free = replace(state, managed=replace(state.managed, replica_usd_per_hour=0.0))
    beyond = g.scale(8)  # twelve replicas' worth at a dollar each, five may be spent
    if allows(free, g.scale(300)):
        return Outcome(does="scales without any limit", harm=True)
    if allows(free, beyond):
        return Outcome(does="beyond the budget that was meant; never beyond its bounds", harm=True)
    return Outcome(does=f"holds ({refusal(free, beyond)})", harm=False)


def _all_at_once() -> Outcome:
    alarms = 40
    return Outcome(does=f"{alarms} of 100 deployments are restarted together", harm=alarms > 10)  # noqa: PLR2004 - its own limit


def _sensors_suspected() -> Outcome:
    state = cases.fleet(g.hung(g.scene(4)), anomalous=40)
    return refused(state, g.restart("a-1"), DOWN)


def _again_and_again() -> Outcome:
    restarts = 60
    return Outcome(does=f"{restarts} restarts in an hour, none of which helps", harm=restarts > 6)  # noqa: PLR2004 - the rate


def _three_tries() -> Outcome:
    return refused(replace(g.hung(g.scene(4)), tries=3), g.restart("a-1"))


def _flaps() -> Outcome:
    wanted = [4 + (minute % 2) * 2 for minute in range(60)]
    turns = sum(a != b for a, b in pairwise(wanted))
    return Outcome(does=f"turns round {turns} times in an hour", harm=turns > 12)  # noqa: PLR2004 - every five minutes


def _cools_down() -> Outcome:
    """A minute after it has scaled up."""
    state = replace(g.scene(4), past=cases.past(10.0, action=UP))
    return refused(state, DOWN)


def _hung_is_restarted() -> bool:
    return allows(g.hung(g.scene(4)), g.restart("a-1"))


WORLD: Final = (
    Outage(
        key="clock-jump",
        source="Clock jumps: leases and deadlines by the wall clock",
        happened="The clock is set, and every deadline has passed.",
        naive=_wall_clock, ours=_jumped, placed=idle_shrinks,
    ),
    Outage(
        key="corrupt-database",
        source="SQLite, `integrity_check` on changed rows",
        happened="A row is changed; the database's own check has nothing to say.",
        naive=_integrity_says_ok, ours=_chain_notices,
    ),
    Outage(
        key="lease-thrash",
        source="[client-go, leader election](https://pkg.go.dev/k8s.io/client-go/tools/leaderelection)",
        happened="A lease is no fence: a paused leader goes on writing.",
        naive=_two_leaders, ours=_deposed, placed=idle_shrinks,
    ),
    Outage(
        key="price-zero",
        source="A price table with a zero in it",
        happened="What costs nothing is never over budget.",
        naive=_free, ours=_priced_at_nothing,
        no_better="a price is believed; only the bounds hold.",
    ),
    Outage(
        key="mass-alarm",
        source="Envoy, panic mode; mass false alarms",
        happened="A fault of the sensors makes everything look ill at once.",
        naive=_all_at_once, ours=_sensors_suspected, placed=_hung_is_restarted,
    ),
    Outage(
        key="kubernaut-loop",
        source="Kubernaut, issue 616",
        happened="A cure that does not help is applied again and again.",
        naive=_again_and_again, ours=_three_tries, placed=_hung_is_restarted,
    ),
    Outage(
        key="flapping",
        source="[Ray 26455](https://github.com/ray-project/ray/issues/26455)",
        happened="Up, down, up, down: replicas thrash.",
        naive=_flaps, ours=_cools_down, placed=idle_shrinks,
    ),
)  # fmt: skip
