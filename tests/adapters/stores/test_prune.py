"""Retention: frames go, decisions stay, the chain still verifies, replay still has its snapshot."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.errors import StoreError
from homeostat.base.units import TimeNs


def opened(path: Path) -> SqlJournal:
    return build(SqliteSettings(path=path, reserve_bytes=0))


def fill(journal: SqlJournal, kinds: str) -> None:
    """Append one entry a letter: f(rame) e(vent) c(ommand) s(tate) n(ote), at times 0, 1, 2..."""
    names = {"f": "frame", "e": "event", "c": "command", "s": "state", "n": "note"}
    rows = [(TimeNs(at), "m", names[letter], b'{"%d":1}' % at) for at, letter in enumerate(kinds)]
    journal.append(rows, durable=True)


def kept(journal: SqlJournal) -> str:
    entries = [entry for entry in journal.read() if b"journal." not in entry.body]
    return "".join(entry.kind[0] for entry in entries)


def test_old_frames_go_and_everything_else_stays(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    fill(journal, "ffecfsfnff")
    assert journal.prune(before=TimeNs(7), now=TimeNs(100)) == 4
    assert kept(journal) == "ecsnff"
    assert journal.prune(before=TimeNs(7), now=TimeNs(101)) == 0
    journal.close()
    journal = opened(tmp_path / "j.db")
    assert kept(journal) == "ecsnff"
    journal.close()


def test_dropping_events_never_goes_past_the_newest_snapshot(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    fill(journal, "fesfecesfe")
    everything = ("frame", "event", "state")
    assert journal.prune(before=TimeNs(2), now=TimeNs(100), kinds=everything) == 2
    assert kept(journal) == "sfecesfe"
    assert journal.prune(before=TimeNs(99), now=TimeNs(100), kinds=everything) == 4
    assert kept(journal) == "csfe"
    journal.close()


def test_without_a_snapshot_no_event_is_dropped(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    fill(journal, "efef")
    assert journal.prune(before=TimeNs(99), now=TimeNs(100), kinds=("event",)) == 0
    journal.close()


def test_a_deployment_that_is_managed_no_more_keeps_its_last_snapshot_and_what_came_after(
    tmp_path: Path,
) -> None:
    """Managed again, it must not take up old numbers anew, nor forget what it was stopped for."""
    journal = opened(tmp_path / "j.db")
    story = ["m event", "gone event", "brief event", " frame", "m state", "gone state"]
    story += ["gone event", " frame", "m event", "m state", " frame"]
    journal.append(
        [
            (TimeNs(at), name, kind, b'{"%d":1}' % at)
            for at, (name, _, kind) in enumerate(entry.partition(" ") for entry in story)
        ],
        durable=True,
    )
    dropped = journal.prune(before=TimeNs(99), now=TimeNs(100), kinds=("frame", "event", "state"))
    assert dropped == 6
    left = [f"{entry.deployment} {entry.kind}" for entry in journal.read() if entry.kind != "note"]
    assert left == ["brief event", "gone state", "gone event", "m state", " frame"]
    journal.close()


@pytest.mark.parametrize("kind", ["command", "note", "gossip"])
def test_decisions_and_notes_are_never_dropped(tmp_path: Path, kind: str) -> None:
    journal = opened(tmp_path / "j.db")
    with pytest.raises(StoreError, match="may be dropped"):
        journal.prune(before=TimeNs(99), now=TimeNs(100), kinds=("frame", kind))
    journal.close()


def test_reading_may_begin_inside_beside_and_after_a_gap(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    fill(journal, "cfffcffc")
    journal.prune(before=TimeNs(99), now=TimeNs(100))
    every = list(journal.read())
    assert [entry.seq for entry in every] == [1, 5, 8, 9]
    for after in range(12):
        assert list(journal.read(after=after)) == [e for e in every if e.seq > after]
    journal.close()


@pytest.mark.slow
def test_a_long_run_is_dropped_in_chunks_and_leaves_few_gaps(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    fill(journal, "c" + "f" * 4500 + "c")
    journal.close()
    size = (tmp_path / "j.db").stat().st_size
    journal = opened(tmp_path / "j.db")
    assert journal.prune(before=TimeNs(9999), now=TimeNs(100)) == 4500
    assert kept(journal) == "cc"
    fill(journal, "f" * 4400)
    journal.close()
    assert (tmp_path / "j.db").stat().st_size < size * 1.2  # freed pages are used again


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_history_of_appends_and_drops_verifies_and_keeps_what_it_must(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    journal = opened(tmp_path_factory.mktemp("history") / "j.db")
    expected: list[tuple[int, str]] = []
    for _ in range(data.draw(st.integers(1, 5))):
        letters = data.draw(st.text("fecsn", max_size=12))
        fill(journal, letters)
        expected += list(enumerate(letters))
        before = data.draw(st.integers(0, 12))
        journal.prune(before=TimeNs(before), now=TimeNs(0))
        expected = [(at, kind) for at, kind in expected if kind != "f" or at >= before]
        assert kept(journal) == "".join(kind for _, kind in expected)
        after = data.draw(st.integers(0, 30))
        whole = list(journal.read())
        assert list(journal.read(after=after)) == [e for e in whole if e.seq > after]
    journal.close()
