"""The journal in a real PostgreSQL: SQLite's promises, and what only a server can do."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cutting_relay import Cut, Relay
from postgres_server import NOBODY, Server
from pydantic import ValidationError

from homeostat.adapters.stores import postgres
from homeostat.adapters.stores.backend import DiskFullError
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.postgres import PostgresSettings, build
from homeostat.base.errors import (
    CorruptStoreError,
    OutOfStepError,
    StoreError,
    SupersededError,
    UncertainStoreError,
)
from homeostat.base.ports import Entry, Standing
from homeostat.base.units import MILLISECOND, MINUTE, TimeNs
from homeostat.testing.journal import ROWS, check_journal, check_leasing, check_pruning

pytestmark = pytest.mark.live


def opened(url: str, folder: Path, **more: object) -> SqlJournal:
    settings = {"url": url, "anchor": folder / "anchor", "reserve_bytes": 0}
    return build(PostgresSettings.model_validate(settings | more))


def command(number: int) -> tuple[TimeNs, str, str, bytes]:
    return TimeNs(number), "m", "command", b"%d" % number


def bodies(journal: SqlJournal) -> list[bytes]:
    return [entry.body for entry in journal.read(kinds=("command",))]


def test_it_keeps_the_promises_of_a_journal(database: str, tmp_path: Path) -> None:
    check_journal(lambda: opened(database, tmp_path))
    check_pruning(lambda: opened(database, tmp_path))


def test_one_leads_by_the_databases_clock(database: str, tmp_path: Path) -> None:
    check_leasing(lambda: opened(database, tmp_path))


def test_a_lease_runs_out_and_the_one_before_can_write_no_more(
    database: str, tmp_path: Path
) -> None:
    first, second = opened(database, tmp_path), opened(database, tmp_path)
    short = 400 * MILLISECOND
    assert first.acquire("first", TimeNs(10**18), short).epoch == 1
    waits = second.acquire("second", TimeNs(5), MINUTE)
    assert (waits.epoch, waits.holder) == (0, "first")
    assert waits.left_ns is not None
    assert 0 < waits.left_ns <= short  # whatever either controller's own clock says
    time.sleep(0.25)
    first.renew(short)
    time.sleep(0.25)
    assert second.acquire("second", TimeNs(5), MINUTE).epoch == 0
    first.append([command(1)], durable=True)
    time.sleep(0.5)
    assert second.acquire("second", TimeNs(5), MINUTE) == Standing(
        epoch=2, holder="second", before=1
    )
    for late in (lambda: first.append([command(2)], durable=True), lambda: first.renew(short)):
        with pytest.raises(SupersededError, match="second"):
            late()
    first.release()  # of what is not ours any more: the other leads on
    assert second.acquire("second", TimeNs(5), MINUTE).epoch == 3
    assert first.acquire("first", TimeNs(5), MINUTE).epoch == 0
    assert bodies(second) == [b"1"]
    first.close()
    second.close()


def test_of_many_that_reach_for_the_lead_at_once_one_has_it(database: str, tmp_path: Path) -> None:
    opened(database, tmp_path).close()
    everybody = [opened(database, tmp_path, busy_timeout_s=30) for _ in range(6)]
    ready = threading.Barrier(len(everybody))
    found: list[Standing] = []

    def reach(journal: SqlJournal, name: str) -> None:
        ready.wait()
        found.append(journal.acquire(name, TimeNs(1), MINUTE))

    threads = [
        threading.Thread(target=reach, args=(journal, f"c{number}"))
        for number, journal in enumerate(everybody)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leaders = [standing for standing in found if standing.epoch]
    assert [standing.epoch for standing in leaders] == [1]
    assert {standing.holder for standing in found} == {leaders[0].holder}
    assert len(found) == len(everybody)
    for journal in everybody:
        journal.close()


@pytest.fixture
def relay(postgres_server: Server) -> Iterator[Relay]:
    folder = Path(tempfile.mkdtemp(prefix="relay-"))
    relay = Relay(folder, postgres_server.folder)
    yield relay
    relay.close()
    shutil.rmtree(folder)


def through(relay: Relay, url: str) -> str:
    """Return the URL of the same database behind the relay."""
    (folder,) = parse_qs(urlsplit(url).query)["host"]
    return url.replace(folder, str(relay.folder))


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_that_nobody_answered_is_asked_for(
    database: str, tmp_path: Path, relay: Relay, cut: Cut
) -> None:
    journal = opened(through(relay, database), tmp_path)
    journal.claim_epoch("o", TimeNs(1))
    relay.cut = cut
    if cut == "after":
        (kept,) = journal.append([command(1)], durable=True)
        assert [entry for entry in journal.read() if entry.kind == "command"] == [kept]
    else:
        with pytest.raises(StoreError, match="cannot be reached") as lost:
            journal.append([command(1)], durable=True)
        assert type(lost.value) is StoreError  # a plain "nothing was written"
        assert bodies(journal) == []
    journal.append([command(2)], durable=True)
    assert bodies(journal) == ([b"1", b"2"] if cut == "after" else [b"2"])
    journal.close()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_what_cannot_be_asked_for_yet_is_unknown_and_found_out_before_the_next_write(
    database: str, tmp_path: Path, relay: Relay, cut: Cut
) -> None:
    journal = opened(through(relay, database), tmp_path)
    journal.claim_epoch("o", TimeNs(1))
    relay.cut, relay.then_down = cut, True
    with pytest.raises(UncertainStoreError, match="nobody knows whether"):
        journal.append([command(1)], durable=True)
    with pytest.raises(StoreError, match="cannot be reached"):
        journal.append([command(2)], durable=True)
    relay.up()
    if cut == "after":
        with pytest.raises(OutOfStepError, match="had been kept"):
            journal.append([command(3)], durable=True)
        assert bodies(journal) == [b"1"]
        journal.claim_epoch("o", TimeNs(2))  # it begins again
    journal.append([command(4)], durable=True)
    assert bodies(journal) == ([b"1", b"4"] if cut == "after" else [b"4"])
    journal.close()


def test_a_crash_of_the_server_keeps_what_was_durable_and_says_what_it_lost(
    postgres_server: Server, database: str, tmp_path: Path
) -> None:
    journal = opened(database, tmp_path)
    journal.claim_epoch("o", TimeNs(1))
    acknowledged: list[Entry] = []
    for number in range(20):
        acknowledged += journal.append([command(number)], durable=True)
    frames = journal.append([(TimeNs(9), "", "frame", b"f")] * 3, durable=False)
    postgres_server.stop("immediate")
    with pytest.raises(StoreError, match="cannot be reached"):
        journal.append([command(90)], durable=True)
    postgres_server.start()
    found = list(journal.read())
    assert found[1:21] == acknowledged
    if len(found) < 21 + len(frames):  # the server's own choice
        with pytest.raises(OutOfStepError, match="were not durable yet"):
            journal.append([command(91)], durable=True)
    journal.claim_epoch("o", TimeNs(2))
    journal.append([command(92)], durable=True)
    journal.close()
    opened(database, tmp_path).close()  # whole, and at one with its anchor


def test_a_restart_of_the_server_between_two_appends_goes_unnoticed(
    postgres_server: Server, database: str, tmp_path: Path
) -> None:
    journal = opened(database, tmp_path)
    journal.claim_epoch("o", TimeNs(1))
    journal.append(ROWS, durable=False)
    postgres_server.stop()
    postgres_server.start()
    journal.append([command(1)], durable=True)
    assert len(list(journal.read())) == 1 + len(ROWS) + 1
    journal.close()


def test_a_writer_that_stops_in_the_middle_does_not_keep_the_next_one_out(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_IDLE_MS", 700)
    first = opened(database, tmp_path)
    second = opened(database, tmp_path, busy_timeout_s=0.1)
    first.claim_epoch("first", TimeNs(1))

    def freeze() -> None:
        with first._writing(durable=True) as frozen:
            frozen.exec_driver_sql("SELECT 1")
            with pytest.raises(StoreError, match=r"locked for 0\.1 s"):
                second.claim_epoch("second", TimeNs(1))
            time.sleep(1.2)
            assert second.claim_epoch("second", TimeNs(1)) == 2

    with pytest.raises(StoreError, match="cannot be reached"):
        freeze()
    with pytest.raises(SupersededError):
        first.append([command(1)], durable=True)
    first.close()
    second.close()


def test_durable_appends_wait_for_the_disk_and_others_do_not(database: str, tmp_path: Path) -> None:
    journal = opened(database, tmp_path)
    levels = []
    for durable in (True, False, True):
        with journal._writing(durable=durable) as connection:
            levels.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar_one())
    assert levels == ["on", "off", "on"]
    journal.close()


def test_an_edit_a_cut_and_a_vanished_schema_are_seen(
    postgres_server: Server, database: str, tmp_path: Path
) -> None:
    name = urlsplit(database).path[1:]
    journal = opened(database, tmp_path)
    journal.claim_epoch("o", TimeNs(1))
    for number in range(4):
        journal.append([command(number)], durable=True)
    postgres_server.sql(name, "UPDATE homeostat.entry SET body = '9' WHERE seq = 3")
    with pytest.raises(CorruptStoreError, match="journal entry 3: its digest"):
        list(journal.read())
    postgres_server.sql(name, "UPDATE homeostat.entry SET body = '1' WHERE seq = 3")
    journal.close()
    postgres_server.sql(name, "DELETE FROM homeostat.entry WHERE seq = 5")
    last = postgres_server.sql(name, "SELECT digest FROM homeostat.entry WHERE seq = 4")
    postgres_server.sql(name, f"UPDATE homeostat.head SET seq = 4, digest = '{last}'")
    with pytest.raises(CorruptStoreError, match="entry 5: cut off; entry 5 was once anchored"):
        opened(database, tmp_path)
    postgres_server.sql(name, "DROP SCHEMA homeostat CASCADE")
    with pytest.raises(CorruptStoreError, match=r"is gone, but .* knows its entries"):
        opened(database, tmp_path)
    assert (
        postgres_server.sql(name, "SELECT count(*) FROM pg_namespace WHERE nspname = 'homeostat'")
        == "0"
    )


def test_what_cannot_keep_the_promise_is_refused_before_anything_is_written(
    postgres_server: Server, database: str, tmp_path: Path
) -> None:
    name = urlsplit(database).path[1:]
    postgres_server.sql(name, "ALTER SYSTEM SET full_page_writes = off")
    postgres_server.sql(name, "SELECT pg_reload_conf()")
    try:
        with pytest.raises(StoreError, match="fsync or full_page_writes off"):
            opened(database, tmp_path)
    finally:
        postgres_server.sql(name, "ALTER SYSTEM RESET full_page_writes")
        postgres_server.sql(name, "SELECT pg_reload_conf()")
    postgres_server.sql(name, "CREATE SCHEMA theirs CREATE TABLE customers (id int)")
    with pytest.raises(CorruptStoreError, match="customers"):
        opened(database, tmp_path, schema_name="theirs")
    with pytest.raises(StoreError, match="there is no journal at"):
        opened(database, tmp_path, read_only=True)
    opened(database, tmp_path).close()
    postgres_server.sql(name, "UPDATE homeostat.alembic_version SET version_num = '9999'")
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"shape '9999'.*newer"):
            opened(database, tmp_path, read_only=read_only)


def test_a_wrong_password_is_refused_and_never_printed(
    postgres_server: Server, database: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("swordfish\n")
    wrong = database.replace("homeostat@", "nobody@")
    with pytest.raises(StoreError, match="nobody") as caught:
        opened(wrong, tmp_path, password_file=tmp_path / "secret")
    problem: BaseException | None = caught.value
    while problem is not None:
        assert "swordfish" not in f"{problem} {problem!r} {problem.args}"
        problem = problem.__cause__
    with pytest.raises(StoreError, match="password file"):
        opened(database, tmp_path, password_file=tmp_path / "none")
    for url in ("postgresql://a:swordfish@h/d", "postgresql://h/d?password=swordfish"):
        with pytest.raises(ValidationError, match="must not hold a password"):
            PostgresSettings(url=url)
    with pytest.raises(ValidationError, match="must be postgresql://"):
        PostgresSettings(url="mysql://h/d")


def test_a_reader_only_reads_also_beside_the_writer(database: str, tmp_path: Path) -> None:
    writer = opened(database, tmp_path)
    writer.claim_epoch("o", TimeNs(1))
    reader = opened(database, tmp_path, read_only=True)
    with writer._writing(durable=True) as connection:
        writer._insert(connection, writer.head(), [command(1)])
        assert [entry.kind for entry in reader.read()] == ["note"]
    assert [entry.kind for entry in reader.read()] == ["note", "command"]
    for attempt in (
        lambda: reader.append(ROWS, durable=True),
        lambda: reader.acquire("x", TimeNs(1), MINUTE),
        lambda: reader.renew(MINUTE),
    ):
        with pytest.raises(StoreError, match="reading only"):
            attempt()
    reader.close()
    writer.close()


@pytest.fixture
def small_database(postgres_server: Server) -> Iterator[str]:
    """Yield the URL of a database on a disk of its own, of 24 MB."""
    folder = postgres_server.folder / "small"
    folder.mkdir()
    size = ["mount", "-t", "tmpfs", "-o", f"size=24m,uid={NOBODY},mode=0700", "tmpfs", str(folder)]
    if subprocess.run(size, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("mounting a small disk needs root")
    postgres_server.sql("postgres", f"CREATE TABLESPACE small LOCATION '{folder}'")
    postgres_server.sql("postgres", "CREATE DATABASE small TABLESPACE small")
    yield postgres_server.url("small")
    postgres_server.sql("postgres", "DROP DATABASE small WITH (FORCE)")
    postgres_server.sql("postgres", "DROP TABLESPACE small")
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_writes_nothing_but_one_last_note(small_database: str, tmp_path: Path) -> None:
    journal = opened(small_database, tmp_path, reserve_bytes=2 * 1024 * 1024)
    journal.claim_epoch("o", TimeNs(1))
    acknowledged: list[Entry] = []
    row = (TimeNs(1), "m", "command", os.urandom(250_000).hex().encode())

    def append_all() -> None:
        for _ in range(200):
            acknowledged.extend(journal.append([row], durable=True))

    with pytest.raises(DiskFullError, match="no space for postgresql://"):
        append_all()
    assert acknowledged
    found = list(journal.read())
    assert found[1:-1] == acknowledged
    assert b"journal.disk_full" in found[-1].body
    with pytest.raises(DiskFullError):
        append_all()
    assert sum(b"journal.disk_full" in entry.body for entry in journal.read()) == 1
    journal.close()
