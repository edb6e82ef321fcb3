"""Two real controllers, one PostgreSQL, one host: one leads, one follows, nothing is doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_checks import Account, account, check_all
from kill_harness import Life, Stage, staged, until
from postgres_server import Server

from homeostat.base.errors import StoreError
from homeostat.server.replaying import replay_file

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]  # minutes only where cores are shared
SEED = 20240229
DEADLINE_S = 1.0  # of a write, `receiptDeadline` of the harness
FOLLOWED = "only the controller that claimed last may write"
TAKES_OVER_S = 20.0  # a lease of 1 s and a look of 1 s; the rest is for machines that are shared


@pytest.fixture
def stage(tmp_path: Path, postgres_server: Server) -> Iterator[Stage]:
    with staged(tmp_path, SEED, postgres_server.database()) as ready:
        life = ready.zygote.start()
        until(lambda: _events(ready) >= 3 * 8, TAKES_OVER_S, "a controller that ticks")
        life.kill()
        assert ready.change({"version.a": "v2"}).status_code == 200
        yield ready


def _events(stage: Stage) -> int:
    try:
        return sum(int(row["events"]) for row in replay_file(stage.journal))
    except StoreError:
        return 0  # not yet made


def both_started(stage: Stage) -> tuple[Life, Life]:
    """Start two controllers and return the one that leads and the one that waits."""
    claimed = stage.relay.epoch()
    first, second = stage.zygote.start(), stage.zygote.start()
    assert stage.relay.wait_for_claim(claimed, TAKES_OVER_S), first.said() + second.said()
    return as_a_pair(stage, first, second)


def as_a_pair(stage: Stage, one: Life, other: Life) -> tuple[Life, Life]:
    """Return who leads and who says that it waits."""
    give_up = time.monotonic() + 3 * TAKES_OVER_S
    while time.monotonic() < give_up:
        one, other = alive(stage, one), alive(stage, other)
        for leads, waits in ((one, other), (other, one)):
            if stage.leader() == leads.pid and "standby" in waits.said():
                return leads, waits
        time.sleep(0.05)
    pytest.fail(f"no leader with a standby that says so: {one.said()}{other.said()}")


def alive(stage: Stage, life: Life) -> Life:
    """Return it, or a new one in its place where it ended as it should.

    A leader that a shared machine starves for longer than its lease is followed by the other one,
    and a controller whose first look finds no database does not start.
    """
    if not life.ended():
        return life
    assert os.waitstatus_to_exitcode(life.reap()) == 1, life.said()
    assert FOLLOWED in life.said() or "cannot be reached" in life.said(), life.said()
    return stage.zygote.start()


def settled(stage: Stage, life: Life) -> Account:
    """Let the controller that is left bring everything to its end, and end it politely."""
    stage.quiet()
    done = "no action in flight"
    until(lambda: _all_ended(account(stage.journal)), 60.0, done)
    time.sleep(0.5)
    life.signal(signal.SIGTERM)
    assert life.reap() == 0, life.said()
    return check_all(stage)


def _all_ended(said: Account) -> bool:
    return all(versions[-1].state.is_terminal for versions in said.records.values())


def handed_over(stage: Stage, leads: Life, waits: Life) -> Life:
    """End the leader in order and return the standby, which leads at once."""
    leads, waits = as_a_pair(stage, leads, waits)
    epoch = stage.relay.epoch()
    leads.signal(signal.SIGTERM)
    assert leads.reap() == 0, leads.said()
    assert stage.relay.wait_for_claim(epoch, TAKES_OVER_S), waits.said()
    assert stage.leader() == waits.pid
    return waits


def killed_in_turn(stage: Stage, kills: int) -> None:
    """Kill the leader wherever it is; the standby leads, and a new one waits behind it."""
    chance, began = random.Random(SEED), time.monotonic()
    leads, waits = both_started(stage)
    took: list[float] = []
    for _ in range(kills):
        if leads.ended():
            leads, waits = as_a_pair(stage, leads, waits)
        known, epoch = len(stage.relay.writes()), stage.relay.epoch()
        if chance.random() < 0.7:
            stage.relay.wait_for_write(known, 3.0)
        time.sleep(chance.uniform(0.0, stage.relay.before_s + 0.5 * stage.relay.after_s))
        leads.kill()
        gone_at = time.monotonic()
        assert stage.relay.wait_for_claim(epoch, TAKES_OVER_S), waits.said()
        took.append(time.monotonic() - gone_at)
        assert stage.leader() == waits.pid
        leads, waits = waits, stage.zygote.start()
    said = settled(stage, handed_over(stage, leads, waits))
    landed = sum(one.landed for one in stage.relay.writes())
    took.sort()
    print(
        f"{kills} kills of a leader, {said.cut_between_intent_and_receipt()} cut between intent "
        f"and receipt, {len(said.written)} writes, {landed} landed; the standby leads after "
        f"{took[len(took) // 2]:.1f} s (median), {took[-1]:.1f} s at most; "
        f"{time.monotonic() - began:.0f} s"
    )
    assert len(said.lives) >= kills + 2
    assert said.written, "it never acted: this proves nothing"


def test_when_the_leader_is_killed_the_standby_goes_on_where_it_was(stage: Stage) -> None:
    killed_in_turn(stage, 6)
    audit = [sys.executable, "-m", "homeostat", "audit", "verify", stage.journal.place]
    done = subprocess.run(
        [*audit, "--anchor", str(stage.journal.anchor), "-o", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"tail": "anchored"' in done.stdout


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_hundred_leaders_may_be_killed(stage: Stage) -> None:
    killed_in_turn(stage, 500)


def the_database_crashes(stage: Stage, server: Server, leads: Life, waits: Life) -> Life:
    """Crash the database under both, and return who leads once somebody goes on."""
    server.stop("immediate")
    server.start()
    before = _events(stage)
    until(lambda: _events(stage) >= before + 8, 60.0, "a controller that goes on")
    leads, waits = as_a_pair(stage, leads, waits)  # the other way round where the lease ran out
    waits.kill()
    return leads


def test_a_stopped_leader_that_wakes_after_another_took_over_ends_and_changes_nothing(
    stage: Stage, postgres_server: Server
) -> None:
    """SIGSTOP in the middle of a write, for longer than its deadline, while the other acts.

    In the end the database itself crashes and comes back.
    """
    chance = random.Random(SEED)
    leads, waits = both_started(stage)
    for _ in range(3):
        leads, waits = as_a_pair(stage, leads, waits)
        known, epoch = len(stage.relay.writes()), stage.relay.epoch()
        assert stage.relay.wait_for_write(known, 15.0), leads.said()
        time.sleep(chance.uniform(0.0, stage.relay.before_s))
        leads.signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        assert stage.relay.wait_for_claim(epoch, TAKES_OVER_S), waits.said()
        time.sleep(max(0.0, DEADLINE_S + 0.2 - (time.monotonic() - stopped_at)))
        after = len(stage.relay.seen)
        leads.signal(signal.SIGCONT)
        assert os.waitstatus_to_exitcode(leads.reap()) == 1, leads.said()
        assert FOLLOWED in leads.said()
        late = [one for one in stage.relay.seen[after:] if one.epoch == epoch]
        assert not any(one.landed for one in late), late
        leads, waits = waits, stage.zygote.start()
    settled(stage, the_database_crashes(stage, postgres_server, leads, waits))
