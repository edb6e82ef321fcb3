"""A controller's journal is a recording that an autoencoder is learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.adapters.stores.sqlite import PART
from homeostat.base import codec, names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect, Outcome
from homeostat.base.errors import ConfigError
from homeostat.base.events import Command, Confirmed, Event, FleetView, Record, Ticked
from homeostat.base.evidence import Evidence, Family, Incident, Suspicion
from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.units import SECOND, TimeNs
from homeostat.cli import detect_model, detect_train
from homeostat.cli.detect_journal import JournalTable
from homeostat.cli.detect_layout import EmptyError, InputError, Wanted
from homeostat.detect.fused import BELONGS
from homeostat.detect.vae_config import Config
from homeostat.server import encoders
from homeostat.testing import build, guard_cases

STRAIGHT = Config(rounds=0, components=8, latent=2, window=2, spacing=2)
DOUBT = Suspicion(family=Family.LOAD, subject="model", confidence=0.8, because=("much",))


def ticks(
    count: int, deployment: str = "m", slow: Mapping[int, float] | None = None
) -> list[Evidence]:
    """Return ticks of one load that moves the gateway's rate and the replicas' device time.

    Args:
        count: How many.
        deployment: Whose.
        slow: Ticks on which the device took so many times as long.
    """
    load = 90.0 + 10.0 * np.random.default_rng(1).standard_normal(count)
    out, times = [], slow or {}
    for tick, one in enumerate(load.tolist()):
        values: dict[tuple[str, str], float | None] = {
            (names.GATEWAY, names.ARRIVAL_RATE): one,
            (names.GATEWAY, names.REFUSED_RATIO): 0.0 if tick % 3 else None,
        }
        for slot, factor in (("a-1", 1.0), ("a-2", 1.1), ("a-3", 1.3), ("b-1", 0.2)):
            took = 0.4 * factor * one * times.get(tick, 1.0)
            values[names.replica(slot), names.DEVICE_TIME] = took
        out.append(build.evidence(at(tick), tick, values=values, deployment=deployment))
    return out


Note = tuple[int, Event | Command]
"""The tick on which something was written, and what."""


def at(tick: int) -> TimeNs:
    return TimeNs(build.START + tick * SECOND)


def journal(path: Path, *seen: list[Evidence], said: Sequence[Note] = ()) -> Path:
    made = PART.build(PART.config(path=path))
    made.claim_epoch("a test", build.START)
    rows = []
    for one in (each for ticks in seen for each in ticks):
        event = Ticked(at=one.at, evidence=one, fleet=FleetView(), kill=KillLevel.OFF)
        rows.append((one.at, one.deployment, "event", codec.encode(event)))
    for tick, note in said:
        kind = "command" if isinstance(note, Record) else "event"
        rows.append((at(tick), "m", kind, codec.encode(note)))
    made.append(rows, durable=False)
    made.close()
    return path


def episode(first: int, last: int, *, real: bool | None = None) -> list[Note]:
    """Return an incident of some ticks, and what a person said of it, if anything."""
    incident = Incident(
        id=f"i-{first:04}",
        deployment="m",
        family=Family.LOAD,
        subject="model",
        opened_at=at(first),
        confirmed_at=at(first),
        tries=0,
        escalated=False,
        because=("much",),
    )
    out: list[Note] = [
        (first, Record(fact=incident)), (last, Record(fact=incident, open=False))
    ]  # fmt: skip
    if real is not None:
        word = Confirmed(at=at(last), by="ann", real=real, incident_id=incident.id, deployment="m")
        out.append((last, word))
    return out


def test_a_row_a_tick_and_the_portrait_as_columns(tmp_path: Path) -> None:
    seen = ticks(40)
    table = JournalTable(journal(tmp_path / "j.db", seen), Wanted())
    assert "gateway arrival_rate" in table.columns
    assert "gateway refused_ratio" not in table.columns
    assert any("'gateway refused_ratio' is known on 65%" in note for note in table.notes)
    (block,) = table.blocks()
    assert block.at.tolist() == [one.at for one in seen]
    most = table.columns.index("replicas device_time_ms most")
    rate = table.columns.index("gateway arrival_rate")
    assert np.allclose(block.values[:, most], 0.52 * block.values[:, rate])
    asked = Wanted(columns=("gateway refused_ratio", "gateway arrival_rate"))
    assert JournalTable(tmp_path / "j.db", asked).columns == asked.columns


def test_trouble_and_what_follows_it_is_no_normal_past(tmp_path: Path) -> None:
    seen = ticks(2 * BELONGS + 20)
    seen[20] = replace(seen[20], suspicions=(DOUBT,))
    seen[21] = replace(seen[21], slo_met=False)
    table = JournalTable(journal(tmp_path / "j.db", seen), Wanted())
    assert np.flatnonzero(~table.past.calm).tolist() == list(range(20, 21 + BELONGS))


def test_whose_ticks_are_meant_must_be_said_where_there_are_several(tmp_path: Path) -> None:
    path = journal(tmp_path / "j.db", ticks(5), ticks(5, "n"))
    with pytest.raises(InputError, match=r"several deployments \(m, n\); say --deployment"):
        JournalTable(path, Wanted())
    with pytest.raises(InputError, match=r"no deployment is called 'x' \(there are: m, n\)"):
        JournalTable(path, Wanted(deployment="x"))
    assert len(next(JournalTable(path, Wanted(deployment="n")).blocks()).at) == 5
    with pytest.raises(InputError, match="no column is called 'cpu'"):
        JournalTable(path, Wanted(deployment="n", columns=("cpu",)))
    with pytest.raises(EmptyError, match="shows no tick"):
        JournalTable(journal(tmp_path / "none.db"), Wanted())
    (tmp_path / "text.db").write_text("no journal")
    with pytest.raises(ConfigError, match=r"text\.db"):
        JournalTable(tmp_path / "text.db", Wanted())


@pytest.mark.slow
def test_a_model_of_the_loop_is_learnt_from_what_the_loop_saw(tmp_path: Path) -> None:
    seen = ticks(900)
    seen[400] = replace(seen[400], suspicions=(DOUBT,))
    columns = ("gateway arrival_rate", "replicas device_time_ms mean")
    asked = detect_train.Learning(
        source=journal(tmp_path / "j.db", seen),
        output=tmp_path / "m",
        wanted=Wanted(methods=("vae",), columns=columns),
        config=STRAIGHT,
    )
    said = detect_train.train(asked)
    assert said["ticks"] == 901
    assert int(str(said["flagged"])) >= BELONGS
    assert encoders.read(tmp_path / "m").columns == columns


COLUMNS = ("gateway arrival_rate", "replicas device_time_ms mean")
JOBS = tuple(range(700, 1800, 120))
"""When a nightly job began, which people call nothing: the device takes half as long again."""
FAULTS = (1850, 1950)
"""When it took three times as long, and that was confirmed."""
LASTS = 20


def lived(job: float = 1.5) -> tuple[list[Evidence], list[Note]]:
    """Return a past with jobs and faults, and what people said of them."""
    slow = {tick: job for first in JOBS for tick in range(first, first + LASTS)}
    slow |= {tick: 3.0 for first in FAULTS for tick in range(first, first + LASTS)}
    seen = ticks(2100, slow=slow)
    for tick in slow:
        seen[tick] = replace(seen[tick], suspicions=(DOUBT,))
    words = [each for first in JOBS for each in episode(first, first + LASTS - 1, real=False)]
    for first in FAULTS:
        words += episode(first, first + LASTS - 1, real=True)
    return seen, words


def taught(source: Path, output: Path, before: Path | None = None) -> dict[str, Any]:
    return detect_train.train(
        detect_train.Learning(
            source=source,
            output=output,
            wanted=Wanted(methods=("vae",), columns=COLUMNS),
            config=replace(STRAIGHT, run_length=1e3),
            before=None if before is None else detect_model.named(before),
        )
    )


@pytest.mark.slow
def test_what_people_called_nothing_teaches_and_confirmed_trouble_is_still_told_of(
    tmp_path: Path,
) -> None:
    seen, words = lived()
    quiet = journal(tmp_path / "quiet.db", seen[:600])
    old = taught(quiet, tmp_path / "old")
    assert old["called_nothing"] == 0
    new = taught(journal(tmp_path / "j.db", seen, said=words), tmp_path / "new", tmp_path / "old")
    assert new["called_nothing"] == len(JOBS) * LASTS
    assert new["compared"]["trouble"] == len(FAULTS)
    assert new["compared"]["nothing"] == len(JOBS)
    before, after = new["compared"]["before"], new["compared"]["after"]
    assert len(before["nothing"]) > 0
    assert after["nothing"] == ()
    assert before["trouble"] == after["trouble"] == tuple(f"i-{one:04}" for one in FAULTS)
    assert new["compared"]["against"] == []
    assert new["taken"]
    assert encoders.read(tmp_path / "new").columns == COLUMNS


@pytest.mark.long
def test_a_model_that_words_taught_a_fault_away_is_not_written(tmp_path: Path) -> None:
    taught(journal(tmp_path / "quiet.db", lived()[0][:600]), tmp_path / "old")
    seen, words = lived(job=3.0)
    new = taught(journal(tmp_path / "j.db", seen, said=words), tmp_path / "new", tmp_path / "old")
    assert not new["taken"]
    assert f"it no longer tells of i-{FAULTS[0]:04}" in new["compared"]["against"]
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_actions_and_what_came_of_them_are_found(tmp_path: Path) -> None:
    action = Action(
        kind=ActionKind.RESTART_REPLICA, actuator="host", subject=names.replica("a-1"), change=()
    )
    record = replace(
        guard_cases.record(action, ActionState.READBACK, intent=True),
        id="d-1", deployment="m", incident_id="i-0010", state_since=at(12),
    )  # fmt: skip
    ended = replace(record, state=ActionState.SUCCEEDED, state_since=at(14))
    outcome = Outcome(
        action_id="d-1", deployment="m", at=at(20), effect=Effect.HELPED, before=(), after=()
    )
    told = [(12, Record(fact=record)), (14, Record(fact=ended)), (20, Record(fact=outcome))]
    missed = Confirmed(at=at(99), by="bo", real=True, about=at(1500), deployment="m")
    path = journal(tmp_path / "j.db", ticks(3000), said=[*episode(10, 30), *told, (99, missed)])
    past = JournalTable(path, Wanted()).past
    assert np.flatnonzero(past.touched).tolist() == [12, 13, 14]
    first, second = past.stretches
    assert (first.name, first.trouble, np.flatnonzero(first.ticks)[[0, -1]].tolist()) == (
        "i-0010", True, [10, 30],
    )  # fmt: skip
    assert second.trouble is True
    assert second.ticks.sum() == 1801
    assert not past.calm[10 : 30 + BELONGS].any()
