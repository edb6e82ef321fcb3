"""A controller's journal is a recording that an autoencoder is learnt from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homeostat.adapters.stores.sqlite import PART
from homeostat.base import codec, names
from homeostat.base.errors import ConfigError
from homeostat.base.events import FleetView, Ticked
from homeostat.base.evidence import Evidence, Family, Suspicion
from homeostat.base.policy import KillLevel
from homeostat.base.units import SECOND, TimeNs
from homeostat.cli import detect_train
from homeostat.cli.detect_journal import JournalTable
from homeostat.cli.detect_layout import EmptyError, InputError, Wanted
from homeostat.detect.fused import BELONGS
from homeostat.detect.vae_config import Config
from homeostat.server import encoders
from homeostat.testing import build

STRAIGHT = Config(rounds=0, components=8, latent=2, window=2, spacing=2)
DOUBT = Suspicion(family=Family.LOAD, subject="model", confidence=0.8, because=("much",))


def ticks(count: int, deployment: str = "m") -> list[Evidence]:
    """Return ticks of one load that moves the gateway's rate and the replicas' device time."""
    load = 90.0 + 10.0 * np.random.default_rng(1).standard_normal(count)
    out = []
    for tick, one in enumerate(load.tolist()):
        values: dict[tuple[str, str], float | None] = {
            (names.GATEWAY, names.ARRIVAL_RATE): one,
            (names.GATEWAY, names.REFUSED_RATIO): 0.0 if tick % 3 else None,
        }
        for slot, factor in (("a-1", 1.0), ("a-2", 1.1), ("a-3", 1.3), ("b-1", 0.2)):
            values[names.replica(slot), names.DEVICE_TIME] = 0.4 * factor * one
        at = TimeNs(build.START + tick * SECOND)
        out.append(build.evidence(at, tick, values=values, deployment=deployment))
    return out


def journal(path: Path, *seen: list[Evidence]) -> Path:
    made = PART.build(PART.config(path=path))
    made.claim_epoch("a test", build.START)
    rows = []
    for one in (each for ticks in seen for each in ticks):
        event = Ticked(at=one.at, evidence=one, fleet=FleetView(), kill=KillLevel.OFF)
        rows.append((one.at, one.deployment, "event", codec.encode(event)))
    made.append(rows, durable=False)
    made.close()
    return path


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
    assert np.flatnonzero(~table.calm).tolist() == list(range(20, 21 + BELONGS))


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
