"""kill -9 at any moment, and a start on the same journal: nothing lost, doubled or misreported.

`HOMEOSTAT_KILLS=250` makes each of the two runs longer; `make bench-safety` asks for it.
"""

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

from homeostat.base.errors import StoreError
from homeostat.base.intent import ActionState
from homeostat.server.replaying import replay_file

KILLS = int(os.environ.get("HOMEOSTAT_KILLS", "24"))  # a run, at least; there are two, side by side
# Minutes only where cores are shared, or where more are asked for.
pytestmark = [pytest.mark.live, pytest.mark.timeout(max(600, 12 * KILLS))]
ENOUGH = KILLS // 2  # writes that a run must have tried, or it proves little
CUT = 0.3 * KILLS  # lives that must have ended between intent and receipt
SEEDS = (20240229, 20240301)
SEED = SEEDS[0]
TO_LEARN_S = 20.0
COMMANDS = 6


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged(tmp_path, getattr(request, "param", SEED)) as ready:
        _release(ready)
        yield ready


def _release(stage: Stage) -> None:
    """Let one controller see v1 serve well, then release v2, as a pipeline would."""
    life = stage.zygote.start()
    until(lambda: _ticks(stage) >= 3 * 8, TO_LEARN_S, "a controller that ticks")
    life.kill()
    assert stage.change({"version.a": "v2"}).status_code == 200


def _ticks(stage: Stage) -> int:
    try:
        return sum(int(row["events"]) for row in replay_file(stage.journal))
    except StoreError:
        return 0  # not yet made


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
    epoch = stage.relay.epoch()
    life = stage.zygote.start()
    assert stage.relay.wait_for_claim(epoch, 30.0), life.said()  # it listens to signals by then

    def settled() -> bool:
        said = account(stage.journal)
        return all(versions[-1].state.is_terminal for versions in said.records.values())

    until(settled, 60.0, "no action in flight")
    time.sleep(0.5)
    life.signal(signal.SIGTERM)
    assert life.reap() == 0, life.said()


def show(said: Account, stage: Stage, kills: int, wall_s: float) -> None:
    ends = {state: 0 for state in ActionState if state.is_terminal}
    for versions in said.records.values():
        ends[versions[-1].state] += 1
    cut, landed = said.cut_between_intent_and_receipt(), sum(w.landed for w in stage.relay.writes())
    print(
        f"{kills} kills, {len(said.lives)} lives, {cut} cut between intent and receipt, "
        f"{len(said.written)} writes, {landed} landed, "
        f"ends { {k.value: v for k, v in ends.items() if v} }, {wall_s:.0f} s"
    )


def _proves(said: Account) -> bool:
    """Return whether enough was done, cut off and taken back for a run to prove something."""
    return (
        len(said.written) >= ENOUGH
        and said.cut_between_intent_and_receipt() >= CUT
        and any(intent.undo for intent in said.written.values())
    )


@pytest.mark.parametrize("stage", SEEDS, indirect=True)
def test_a_controller_killed_at_any_moment_loses_doubles_and_misreports_nothing(
    stage: Stage,
) -> None:
    chance, begin, kills = random.Random(stage.seed), time.monotonic(), 0
    # By chance, and on a busy machine, more lives end before they act: go on until enough have.
    while kills < KILLS or (kills < 3 * KILLS and not _proves(account(stage.journal))):
        kill_somewhere(stage, stage.zygote.start(), chance)
        kills += 1
    settle(stage)
    said = check_all(stage)
    show(said, stage, kills, time.monotonic() - begin)
    assert said.cut_between_intent_and_receipt() >= CUT
    assert len(said.written) >= ENOUGH, "it hardly acted: this proves little"
    assert any(intent.undo for intent in said.written.values()), "nothing was ever taken back"


def test_the_command_itself_survives_kills_from_its_first_moment_on(stage: Stage) -> None:
    """`homeostat run` as people start it: its imports, its files, its API, its own senses."""
    chance = random.Random(SEED)
    words = ["run", "--quiet", "--unproved-by", "a test", "-f", str(stage.files[0])]
    arguments = [sys.executable, "-m", "homeostat", *words]
    with (stage.folder / "command.log").open("wb") as log:
        for _ in range(COMMANDS):
            process = subprocess.Popen(arguments, stdout=log, stderr=log)
            time.sleep(chance.uniform(0.2, 3.0))
            process.kill()
            process.wait()
    settle(stage)
    check_all(stage)
    for words in (["audit", "verify"], ["replay"]):
        done = subprocess.run(
            [sys.executable, "-m", "homeostat", *words, stage.journal.place],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
