"""Freezes and changed files come into force by the machine's clock, not by the controller's own."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from runtime_harness import Stage, stage

from homeostat.base.errors import StoreError
from homeostat.base.events import Reconfigured
from homeostat.base.policy import Managed, Mode
from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.server.config import Watcher
from homeostat.server.planning import plan_of
from homeostat.server.proof_gate import ProofGate
from homeostat.server.reloading import bring_into_force
from homeostat.server.runtime import Runtime

ROOT = Path(__file__).parents[2]
FRIDAY = TimeNs(round(datetime.fromisoformat("2026-01-02T17:00:00+01:00").timestamp()) * SECOND)
"""Inside the example's freeze, Friday 16:00 to 23:59 in Paris."""


class Life:
    """A started controller of the example's deployment, and what of its files is in force."""

    def __init__(self, folder: Path, wall: TimeNs) -> None:
        self.file = folder / "one.yaml"
        text = (ROOT / "examples" / "managed-model.yaml").read_text(encoding="utf-8")
        text += "---\n" + (ROOT / "examples" / "policies" / "demo.yaml").read_text(encoding="utf-8")
        self.file.write_text(text, encoding="utf-8")
        self.watcher = Watcher([self.file])
        self.plan = plan_of(self.watcher.config)
        self.ready: Stage = stage("credit")
        self.ready.clock.jump(wall - self.ready.clock.wall())
        self.known: dict[str, Managed] = {}

    async def start(self) -> "Life":
        deployment = self.ready.runtime.shell.deployments["credit"]
        deployment.managed = replace(deployment.managed, mode=Mode.SHADOW)  # as the file says
        await self.ready.runtime.start()
        self.known = {one.name: one for one in self.watcher.config.managed(None)}
        return self

    def mode(self) -> str:
        """Return the mode in force."""
        return self.ready.runtime.states["credit"].managed.mode.value

    def acts(self) -> bool:
        """Return whether it may change anything."""
        return self.ready.runtime.states["credit"].managed.acts

    def person_sets(self, mode: Mode) -> None:
        managed = replace(self.ready.runtime.states["credit"].managed, mode=mode)
        at = self.ready.clock.now()
        self.ready.runtime.take("credit", Reconfigured(at=at, managed=managed, by="anna"))

    def file_says(self, old: str, new: str) -> None:
        text = self.file.read_text(encoding="utf-8").replace(old, new)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.file)

    def look(self) -> bool:
        """Look at the files once; returns whether the deployment is frozen then."""
        self.known = bring_into_force(self.ready.runtime, self.watcher, self.plan, self.known)
        return self.ready.runtime.states["credit"].managed.guard.frozen


async def test_a_freeze_holds_though_the_journal_lies_in_the_future(tmp_path: Path) -> None:
    """Our own time is pushed out of the window; the people it protects are still away."""
    life = await Life(tmp_path, FRIDAY).start()
    life.ready.clock.not_before(TimeNs(life.ready.clock.now() + 24 * HOUR))
    assert life.look()


async def test_a_journal_from_inside_a_freeze_does_not_prolong_it(tmp_path: Path) -> None:
    life = await Life(tmp_path, TimeNs(FRIDAY - 24 * HOUR)).start()
    life.ready.clock.not_before(FRIDAY)
    assert life.ready.clock.now() > FRIDAY
    assert not life.look()


@pytest.mark.parametrize(("by_ns", "frozen"), [(-2 * HOUR, False), (-MINUTE, True)])
async def test_a_clock_set_back_while_it_runs_takes_the_freeze_with_it(
    tmp_path: Path, by_ns: int, *, frozen: bool
) -> None:
    life = await Life(tmp_path, FRIDAY).start()
    assert life.look()
    before = life.ready.clock.now()
    life.ready.clock.jump(by_ns)
    assert life.look() is frozen
    assert life.ready.clock.now() == before


async def test_a_clock_set_ahead_into_a_freeze_freezes(tmp_path: Path) -> None:
    life = await Life(tmp_path, TimeNs(FRIDAY - 3 * HOUR)).start()
    assert not life.look()
    life.ready.clock.jump(3 * HOUR)
    assert life.look()


async def test_a_freeze_ends_when_time_passes_out_of_it(tmp_path: Path) -> None:
    life = await Life(tmp_path, FRIDAY).start()
    assert life.look()
    life.ready.clock.advance(7 * HOUR)
    assert not life.look()


async def test_what_the_journal_refused_is_tried_again(tmp_path: Path) -> None:
    life = await Life(tmp_path, FRIDAY).start()
    life.ready.journal.refuse = lambda _, __: StoreError("locked")
    assert not life.look()
    life.ready.journal.refuse = lambda _, __: None
    assert life.look()


async def test_a_mode_that_a_person_set_stays_until_the_file_says_another(tmp_path: Path) -> None:
    life = await Life(tmp_path, TimeNs(FRIDAY - 24 * HOUR)).start()
    life.look()
    life.person_sets(Mode.APPROVE)
    life.ready.clock.advance(24 * HOUR)
    assert life.look()  # a freeze begins, and is no word about the mode
    assert life.mode() == "approve"
    life.file_says("mode: shadow", "mode: auto")
    life.look()
    assert life.mode() == "auto"


async def test_a_mode_that_a_person_withdrew_stays_withdrawn_though_the_file_caught_up_before(
    tmp_path: Path,
) -> None:
    """A person tries autonomy, then writes it into the file, then takes it back: a restart obeys.

    The file said nothing new to the running controller, which already was in that mode.
    """
    life = await Life(tmp_path, TimeNs(FRIDAY - 24 * HOUR)).start()
    life.look()
    life.person_sets(Mode.AUTO)
    life.file_says("mode: shadow", "mode: auto")
    life.look()
    life.person_sets(Mode.SHADOW)
    again = Runtime(life.ready.runtime.shell, life.ready.runtime.clock)
    again.shell.deployments["credit"].managed = plan_of(life.watcher.config).deployments[0].managed
    await again.start()
    assert again.states["credit"].managed.mode is Mode.SHADOW


async def test_a_mode_that_the_file_names_anew_is_in_force_after_a_restart(tmp_path: Path) -> None:
    life = await Life(tmp_path, TimeNs(FRIDAY - 24 * HOUR)).start()
    life.look()
    life.person_sets(Mode.APPROVE)
    life.file_says("mode: shadow", "mode: auto")
    fresh = Watcher([life.file]).config
    again = Runtime(life.ready.runtime.shell, life.ready.runtime.clock)
    again.shell.deployments["credit"].managed = plan_of(fresh).deployments[0].managed
    await again.start()
    assert again.states["credit"].managed.mode is Mode.AUTO


async def test_a_proof_lets_it_act_and_leaves_the_mode_that_a_person_set(tmp_path: Path) -> None:
    life = await Life(tmp_path, TimeNs(FRIDAY - 24 * HOUR)).start()
    waiting = ProofGate(life.watcher.config.deployments, folder=tmp_path, prove=never_done)
    life.known = {name: waiting.judged(one) for name, one in life.known.items()}
    state = life.ready.runtime.states["credit"]
    guard = replace(state.managed.guard, unproved="its proof is on its way")
    at = life.ready.clock.now()
    managed = replace(state.managed, guard=guard)
    life.ready.runtime.take("credit", Reconfigured(at=at, managed=managed, by="a proof to come"))
    life.person_sets(Mode.APPROVE)
    assert not life.acts()
    life.known = bring_into_force(life.ready.runtime, life.watcher, life.plan, life.known)
    assert life.acts()
    assert life.mode() == "approve"


async def never_done(_: object) -> dict[str, str]:
    return {}
