"""The SQLite journal: opening, fencing, full disks, locks, readers beside the writer."""

import json
import os
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.rows import Rows
from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.errors import CorruptStoreError, StoreError
from homeostat.base.ports import Entry
from homeostat.base.units import MINUTE, TimeNs
from homeostat.testing.journal import ROWS, check_journal, check_leasing, check_pruning

BIG = (TimeNs(1), "m", "command", b"x" * 20_000)


def opened(path: Path, **more: object) -> SqlJournal:
    return build(SqliteSettings.model_validate({"path": path, "reserve_bytes": 65536} | more))


def test_it_keeps_the_promises_of_a_journal(tmp_path: Path) -> None:
    check_journal(lambda: opened(tmp_path / "journal.db"))


def test_its_promises_do_not_hang_on_compression(tmp_path: Path) -> None:
    check_journal(lambda: opened(tmp_path / "journal.db", compress_above=0))


def test_a_strange_path_is_one_file_and_all_of_it_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%41&x.db"
    journal = opened(path)
    journal.claim_epoch("o", TimeNs(1))
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == [path.name + end for end in ("", "-shm", "-wal", ".anchor", ".reserve")]
    assert all(stat.S_IMODE(entry.stat().st_mode) == 0o600 for entry in tmp_path.iterdir())
    journal.close()


def test_frames_are_compressed_and_commands_lie_open(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    journal.append([(TimeNs(1), "", "frame", b"y" * 100_000), BIG], durable=True)
    journal.close()
    with sqlite3.connect(tmp_path / "j.db") as raw:
        sizes = dict(raw.execute("select kind, length(body) from entry"))
    raw.close()
    assert sizes["frame"] < 1000
    assert sizes["command"] == 20_000


def test_durable_appends_ask_for_full_synchronisation_and_others_do_not(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    levels = []
    for durable in (True, False, True):
        journal.append(ROWS[:1], durable=durable)
        assert journal._database._writer is not None
        levels.append(journal._database._writer.exec_driver_sql("PRAGMA synchronous").scalar())
        journal._database._writer.rollback()
    assert levels == [2, 1, 2]  # 2 FULL, 1 NORMAL
    journal.close()


def test_without_a_claim_one_may_write_only_while_nobody_claimed(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "j.db"), opened(tmp_path / "j.db")
    first.append(ROWS[:1], durable=True)
    second.claim_epoch("second", TimeNs(1))
    with pytest.raises(StoreError, match="epoch 1 of 'second' supersedes no epoch at all"):
        first.append(ROWS[:1], durable=True)
    first.close()
    second.close()


def test_the_store_keeps_its_own_notes_to_itself(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    body = json.dumps({"journal.claimed": {"epoch": 99, "owner": "x"}}).encode()
    with pytest.raises(StoreError, match="journal itself"):
        journal.append([(TimeNs(1), "", "note", body)], durable=True)
    journal.close()


@pytest.mark.parametrize("place", ["none/j.db", "file/j.db", ""])
def test_an_unwritable_place_is_named_with_what_to_do(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written .* make its folder"):
        opened(tmp_path / place)


def test_a_read_only_folder_is_named(nobody: Path) -> None:
    opened(nobody / "j.db").close()
    nobody.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        opened(nobody / "other.db")


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("durable", [False, True])
def test_nothing_is_written_to_a_file_that_is_gone(
    tmp_path: Path, *, replaced: bool, durable: bool
) -> None:
    journal = opened(tmp_path / "j.db")
    journal.append([(TimeNs(1), "m", "event", b"{}")], durable=True)
    (tmp_path / "j.db").rename(tmp_path / "elsewhere.db")
    if replaced:
        (tmp_path / "j.db").write_bytes((tmp_path / "elsewhere.db").read_bytes())
    with pytest.raises(CorruptStoreError, match="removed or replaced"):
        journal.append([(TimeNs(2), "m", "event", b"{}")], durable=durable)
    journal.close()


def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_bytes(b"shopping list\n" * 100)
    with pytest.raises(CorruptStoreError, match="not a database"):
        opened(text)
    assert text.read_bytes() == b"shopping list\n" * 100
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("create table customers (id)")
    raw.close()
    with pytest.raises(CorruptStoreError, match="customers"):
        opened(other)
    with pytest.raises(StoreError, match="not a journal"):
        opened(other, read_only=True)


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "j.db").close()
    with sqlite3.connect(tmp_path / "j.db") as raw:
        raw.execute("update alembic_version set version_num = '9999'")
    raw.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"shape '9999'.*newer"):
            opened(tmp_path / "j.db", read_only=read_only)


def test_a_journal_from_before_there_were_leases_is_read_and_goes_on(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    journal.claim_epoch("o", TimeNs(1))
    written = journal.append(ROWS, durable=True)
    journal.close()
    with sqlite3.connect(tmp_path / "j.db") as raw:
        raw.execute("drop table lease")
        raw.execute("update alembic_version set version_num = '0001'")
    raw.close()
    reader = opened(tmp_path / "j.db", read_only=True)
    assert tuple(reader.read())[1:] == written
    reader.close()
    journal = opened(tmp_path / "j.db")
    assert tuple(journal.read())[1:] == written
    assert journal.acquire("p", TimeNs(2), MINUTE).epoch == 2
    journal.close()


def test_the_kit_finds_that_one_leads_beside_a_file(tmp_path: Path) -> None:
    check_leasing(lambda: opened(tmp_path / "journal.db"))
    check_pruning(lambda: opened(tmp_path / "journal.db"))


def test_a_locked_journal_says_so_after_the_timeout_and_works_again(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db", busy_timeout_s=0.1)
    journal.claim_epoch("o", TimeNs(1))
    other = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked for 0\.1 s") as caught:
        journal.append(ROWS, durable=True)
    assert not isinstance(caught.value, CorruptStoreError)
    other.execute("ROLLBACK")
    other.close()
    assert len(journal.append(ROWS, durable=True)) == len(ROWS)
    assert len(list(journal.read())) == 1 + len(ROWS)
    journal.close()


def limit_pages(journal: SqlJournal, spare: int) -> None:
    """Let the writer's connection grow the file by so many pages only."""
    assert journal._database._writer is not None
    pages = journal._database._writer.exec_driver_sql("PRAGMA page_count").scalar_one()
    journal._database._writer.exec_driver_sql(f"PRAGMA max_page_count={pages + spare}")
    journal._database._writer.rollback()


def append_until_full(journal: SqlJournal, rows: Rows) -> list[Entry]:
    """Append until the disk is full; return what was acknowledged."""
    acknowledged: list[Entry] = []

    def append_all() -> None:
        for _ in range(1000):
            acknowledged.extend(journal.append(rows, durable=True))

    with pytest.raises(StoreError, match=r"no space .* free some"):
        append_all()
    return acknowledged


def test_a_full_disk_writes_nothing_but_one_last_note(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    journal.claim_epoch("o", TimeNs(1))
    limit_pages(journal, spare=12)
    kept = 1 + len(append_until_full(journal, [BIG, BIG]))
    assert not (tmp_path / "j.db.reserve").exists()
    entries = list(journal.read())
    assert len(entries) == kept + 1
    assert entries[-1].kind == "note"
    assert b"journal.disk_full" in entries[-1].body
    journal.append([BIG], durable=True)  # space came back: it goes on
    journal.close()
    journal = opened(tmp_path / "j.db")
    assert (tmp_path / "j.db.reserve").stat().st_size == 65536
    assert len(list(journal.read())) == kept + 2
    journal.close()


def test_a_full_disk_without_a_reserve_still_writes_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db", reserve_bytes=0)
    journal.claim_epoch("o", TimeNs(1))
    limit_pages(journal, spare=0)
    before = list(journal.read())
    with pytest.raises(StoreError, match="no space"):
        journal.append([BIG] * 3, durable=False)
    assert list(journal.read()) == before
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_really_full_disk_loses_nothing_acknowledged_and_recovers(small_disk: Path) -> None:
    journal = opened(small_disk / "j.db", reserve_bytes=256 * 1024)
    journal.claim_epoch("o", TimeNs(1))
    body = os.urandom(8000).hex().encode()
    acknowledged = append_until_full(journal, [(TimeNs(1), "m", "command", body)])
    found = list(journal.read())
    assert found[1:-1] == acknowledged
    assert b"journal.disk_full" in found[-1].body
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb") as file:
        file.write(b"x" * 4_000_000)
    with pytest.raises(StoreError, match="no space"):
        journal.append([BIG] * 20, durable=True)
    ballast.unlink()
    journal.close()
    journal = opened(small_disk / "j.db", reserve_bytes=0)
    assert list(journal.read()) == found
    journal.close()


def test_a_reader_verifies_while_the_writer_writes_and_drops(tmp_path: Path) -> None:
    writer = opened(tmp_path / "j.db")
    writer.claim_epoch("o", TimeNs(1))
    done = threading.Event()
    problems: list[Exception] = []

    def write() -> None:
        try:
            for number in range(120):
                frame = (TimeNs(number), "", "frame", b"f" * 600)
                event = (TimeNs(number), "m", "event", b"%d" % number)
                writer.append([frame, frame, event], durable=number % 20 == 0)
                if number % 15 == 14:
                    writer.prune(before=TimeNs(number - 5), now=TimeNs(number))
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            problems.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    rounds = 0
    while not done.is_set() or rounds == 0:
        reader = opened(tmp_path / "j.db", read_only=True)
        events = [int(entry.body) for entry in reader.read(kinds=("event",))]
        reader.close()
        assert events == list(range(len(events)))
        rounds += 1
    thread.join()
    assert problems == []
    assert sum(1 for _ in writer.read(kinds=("event",))) == 120
    writer.close()


def test_a_read_only_journal_writes_nothing_anywhere(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no journal at"):
        opened(tmp_path / "j.db", read_only=True)
    writer = opened(tmp_path / "j.db")
    writer.claim_epoch("o", TimeNs(1))
    writer.close()
    reader = opened(tmp_path / "j.db", read_only=True)
    for attempt in (
        lambda: reader.append(ROWS, durable=True),
        lambda: reader.claim_epoch("x", TimeNs(1)),
        lambda: reader.prune(before=TimeNs(9), now=TimeNs(9)),
    ):
        with pytest.raises(StoreError, match="reading only"):
            attempt()
    assert [entry.kind for entry in reader.read()] == ["note"]
    reader.close()


def test_bodies_have_a_limit(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j.db")
    with pytest.raises(StoreError, match="at most"):
        journal.append([(TimeNs(1), "", "frame", b"x" * (33 * 1024 * 1024))], durable=False)
    assert list(journal.read()) == []
    journal.close()


def test_opening_many_times_leaks_no_file(tmp_path: Path) -> None:
    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    opened(tmp_path / "j.db").close()
    before = open_files()
    for _ in range(5):
        journal = opened(tmp_path / "j.db")
        journal.claim_epoch("o", TimeNs(1))
        list(journal.read())
        journal.close()
    assert open_files() == before
