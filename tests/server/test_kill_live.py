"""kill -9 at any moment, and a start on the same journal: nothing lost, doubled or misreported."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_checks import Account, account, check_all
from kill_harness import Life, Stage, staged, until

from homeostat.base.intent import ActionState
from homeostat.server.replaying import replay_file

pytestmark = pytest.mark.live
KILLS = 104
SEED = 20240229
TO_LEARN_S = 20.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, SEED) as ready:
        _release(ready)
        yield ready


def _release(stage: Stage) -> None:
    """Let one controller see v1 serve well, then release v2, as a pipeline would."""
    life = stage.zygote.start()
    until(lambda: _ticks(stage) >= 3 * 8, TO_LEARN_S, "a controller that ticks")
    life.kill()
    assert stage.change({"version.a": "v2"}).status_code == 200


def _ticks(stage: Stage) -> int:
    if not stage.journal.exists():
        return 0
    return sum(int(row["events"]) for row in replay_file(stage.journal))


def kill_somewhere(stage: Stage, life: Life, chance: random.Random) -> None:
    """Kill a life while it starts, anywhere, or while a write of it is out."""
    known, epoch = len(stage.relay.writes()), stage.relay.epoch()
    where = chance.random()
    if where < 0.15:
        time.sleep(chance.uniform(0.0, 0.5))
    elif where < 0.5:
        stage.relay.wait_for_claim(epoch, 3.0)
        time.sleep(chance.uniform(0.0, 0.6))
    else:
        stage.relay.wait_for_write(known, 3.0)
        time.sleep(chance.uniform(0.0, stage.relay.before_s + 0.5 * stage.relay.after_s))
    life.kill()


def settle(stage: Stage) -> None:
    """Let a last controller bring everything to its end, and end it politely."""
    stage.quiet()
    life = stage.zygote.start()

    def settled() -> bool:
        said = account(stage.journal)
        done = all(versions[-1].state.is_terminal for versions in said.records.values())
        return done and "serving" in life.said()

    until(settled, 30.0, "no action in flight")
    time.sleep(0.5)
    life.signal(signal.SIGTERM)
    assert life.reap() == 0, life.said()


def show(said: Account, stage: Stage, wall_s: float) -> None:
    ends = {state: 0 for state in ActionState if state.is_terminal}
    for versions in said.records.values():
        ends[versions[-1].state] += 1
    print(
        f"{len(said.lives)} lives, {said.cut_between_intent_and_receipt()} cut between intent and "
        f"receipt, {len(said.written)} writes, {sum(one.landed for one in stage.relay.writes())} "
        f"landed, ends { {k.value: v for k, v in ends.items() if v} }, {wall_s:.0f} s"
    )


def test_a_controller_killed_at_any_moment_loses_doubles_and_misreports_nothing(
    stage: Stage,
) -> None:
    chance, begin = random.Random(SEED), time.monotonic()
    for _ in range(KILLS):
        kill_somewhere(stage, stage.zygote.start(), chance)
    settle(stage)
    said = check_all(stage)
    show(said, stage, time.monotonic() - begin)
    assert said.cut_between_intent_and_receipt() >= 0.3 * KILLS
    assert len(said.written) >= 0.5 * KILLS, "it hardly acted: this proves little"
    assert any(intent.undo for intent in said.written.values()), "nothing was ever taken back"
