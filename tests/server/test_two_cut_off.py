"""Two real controllers, one PostgreSQL, and a network that loses what is between them, in silence.

Nobody is told of a cut: connections stay open and nothing is answered. What must hold: whoever is
cut off from the database does nothing, the other one leads, and nothing is left half done.
`benchmarks/takeover.py` measures how long it takes.
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cut_harness import SOON_S, Cut, cut_staged, other
from cut_net import BOTH, Way, missing
from kill_harness import until

WHY = missing()
pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(WHY), reason=WHY),
]
SEED = 20240229
LEASE_S = 1.0
REQUEST_S = 1.0  # a write lives as long as `receiptDeadline`


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[Cut]:
    with cut_staged(tmp_path, SEED) as ready:
        if ready is None:
            pytest.skip("PostgreSQL is not installed: on Debian, apt-get install postgresql")
        yield ready


def cut_in_a_write(cut: Cut, side: str, chance: random.Random, ways: tuple[Way, ...]) -> None:
    """Cut a leader off while a write of it is under way."""
    relay = cut.stage.relay
    assert relay.wait_for_write(len(relay.writes()), SOON_S), cut.lives[side].said()
    time.sleep(chance.uniform(0.0, relay.before_s + 0.5 * relay.after_s))
    cut.cut(side, ways)


def check_nothing_was_done(cut: Cut, epoch: int, after: int) -> None:
    """Check what an old epoch did after something: at most what it had recorded before, once."""
    late = [one for one in cut.stage.relay.seen[after:] if one.epoch == epoch and one.levers]
    assert not any(one.landed for one in late), late
    assert all(one.recorded for one in late), late


@pytest.mark.parametrize("ways", [BOTH, ("to",), ("from",)], ids=["silence", "deaf", "mute"])
def test_a_leader_that_is_cut_off_from_the_database_does_nothing_and_the_other_leads(
    cut: Cut, ways: tuple[Way, ...]
) -> None:
    chance, relay = random.Random(SEED), cut.stage.relay
    leads, waits = cut.start_both()
    took = []
    for _ in range(2):
        epoch = relay.epoch()
        cut_in_a_write(cut, leads, chance, ways)
        began = time.monotonic()
        assert relay.wait_for_claim(epoch, SOON_S), cut.lives[waits].said()
        took.append(time.monotonic() - began)
        assert cut.leads() == waits
        after = len(relay.seen)
        time.sleep(REQUEST_S + 1.0)  # what it had sent before has ended by now
        cut.mend(leads, ways)
        assert os.waitstatus_to_exitcode(cut.lives[leads].reap()) == 1, cut.lives[leads].said()
        assert "only the controller that claimed last may write" in cut.lives[leads].said()
        check_nothing_was_done(cut, epoch, after)
        cut.start(leads)
        cut.standing_by(leads)
        leads, waits = waits, leads
    cut.lives.pop(waits).kill()
    said = cut.end(leads)
    assert said.written, "it never acted: this proves nothing"
    print(f"{ways}: a lease of {LEASE_S:g} s, the standby leads after {sorted(took)} s")


def test_a_standby_that_is_cut_off_disturbs_nobody_and_leads_when_it_must(cut: Cut) -> None:
    relay = cut.stage.relay
    leads, waits = cut.start_both()
    epoch = relay.epoch()
    cut.cut(waits)
    until(lambda: "cannot be reached" in cut.lives[waits].said(), SOON_S, "a standby that says it")
    assert relay.wait_for_write(len(relay.writes()), SOON_S), "the leader goes on"
    assert (cut.leads(), relay.epoch()) == (leads, epoch)
    cut.mend(waits)
    cut.lives.pop(leads).kill()
    assert relay.wait_for_claim(epoch, SOON_S), cut.lives[waits].said()
    cut.end(waits)


def test_while_both_are_cut_off_nobody_acts_and_then_one_of_them_goes_on(cut: Cut) -> None:
    relay, chance = cut.stage.relay, random.Random(SEED)
    leads, waits = cut.start_both()
    cut_in_a_write(cut, leads, chance, BOTH)
    cut.cut(waits)
    time.sleep(REQUEST_S + 1.0)  # what it had sent before has ended by now
    after, before = len(relay.seen), cut.events()
    time.sleep(4 * LEASE_S)
    assert len(relay.seen) == after, relay.seen[after:]
    assert cut.events() == before
    cut.mend(leads)
    cut.mend(waits)
    until(lambda: cut.events() >= before + 8, SOON_S, "a controller that goes on")
    stays = cut.leads()
    gone = cut.lives.pop(other(stays))
    if stays == waits:
        assert os.waitstatus_to_exitcode(gone.reap()) == 1, gone.said()
    else:
        gone.kill()
    cut.end(stays)


def test_a_leader_that_is_cut_off_from_its_target_finds_out_what_became_of_its_write(
    cut: Cut,
) -> None:
    """It goes on leading: who leads is the journal's matter, and that it reaches."""
    relay, net, chance = cut.stage.relay, cut.net, random.Random(SEED)
    leads, waits = cut.start_both()
    epoch = relay.epoch()
    for way in (("to",), BOTH):
        assert relay.wait_for_write(len(relay.writes()), SOON_S), cut.lives[leads].said()
        time.sleep(chance.uniform(0.0, relay.before_s))
        net.cut(leads, net.target, way)
        time.sleep(REQUEST_S + 1.0)
        net.mend(leads, net.target, way)
    assert (cut.leads(), relay.epoch()) == (leads, epoch)
    cut.lives.pop(waits).kill()
    said = cut.end(leads)
    unknown = [one for one, statuses in said.answered.items() if "unknown" in statuses]
    assert unknown, "every answer arrived: this proves nothing"
