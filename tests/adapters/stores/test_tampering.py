"""Tampering: whatever is done to the file, reading it again tells the truth or raises."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from homeostat.adapters.stores import chain
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.errors import CorruptStoreError, StoreError
from homeostat.base.ports import Entry
from homeostat.base.units import TimeNs

COUNT = 40  # entries before the drop


def opened(path: Path, **more: object) -> SqlJournal:
    return build(SqliteSettings.model_validate({"path": path, "reserve_bytes": 0} | more))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return a closed journal with compressed and open rows, two epochs and a gap."""
    path = tmp_path / "j.db"
    store = opened(path)
    store.claim_epoch("first", TimeNs(1))
    noise = random.Random(1)  # so that most of the file is content, not room
    for number in range(COUNT // 4):
        rows = [
            (TimeNs(number), "", "frame", b'{"v":"%s"}' % noise.randbytes(2000).hex().encode()),
            (TimeNs(number), "m-1", "event", b'{"v":"%s"}' % noise.randbytes(900).hex().encode()),
            (TimeNs(number), "m-2", "command", b'{"c":%d}' % number),
            (TimeNs(number), "m-1", "state", b'{"s":%d}' % number),
        ]
        store.append(rows, durable=number % 2 == 0)
    store.claim_epoch("second", TimeNs(2))
    assert store.prune(before=TimeNs(3), now=TimeNs(9)) == 3
    store.append([(TimeNs(99), "m-1", "command", b"{}")], durable=True)
    store.close()
    return path


def content(path: Path, **more: object) -> tuple[list[Entry], int, str]:
    store = opened(path, read_only=True, **more)
    try:
        return list(store.read()), store.head().epoch, store.head().owner
    finally:
        store.close()


def execute(path: Path, *statements: str) -> None:
    raw = sqlite3.connect(path)
    with raw:
        for statement in statements:
            raw.execute(statement)
    raw.close()


SWAP = (
    "create table t as select * from entry where seq in (7, 8)",
    """update entry set (at, deployment, kind, packed, body, digest) = (
        select at, deployment, kind, packed, body, digest from t where t.seq = 15 - entry.seq
    ) where seq in (7, 8)""",
    "drop table t",
)
COPY = """insert into entry
    select 1000, at, deployment, kind, packed, body, digest from entry where seq = 4"""
FORGED_GAP = """insert into gap
    select 4, 4, digest, (select {note} limit 1) from entry where seq = 4"""


@pytest.mark.parametrize(
    "statements",
    [
        ("update entry set body = '{}' where seq = 4",),
        ("update entry set body = cast('{\"c\":7}' as blob) where seq = 4",),
        ("update entry set body = 7 where seq = 4",),
        ("update entry set at = at + 1 where seq = 4",),
        ("update entry set deployment = 'm-9' where seq = 4",),
        ("update entry set kind = 'event' where seq = 4",),
        ("update entry set packed = 1 - packed where seq = 4",),
        ("update entry set packed = 2 where seq = 4",),
        ("update entry set digest = (select digest from entry where seq = 5) where seq = 4",),
        ("delete from entry where seq = 4",),
        ("delete from entry where seq = 1",),
        ("delete from entry where seq > 30",),
        ("delete from entry where seq = (select max(seq) from entry)",),
        ("delete from entry",),
        ("update entry set seq = 1000 where seq = 4",),
        (COPY,),
        SWAP,
        ("update head set epoch = 1",),
        ("update head set epoch = 3",),
        ("update head set epoch = 'x'",),
        ("update head set seq = seq - 1",),
        ("update head set digest = replace(digest, 'a', 'b')",),
        ("delete from head",),
        ("update gap set last = last + 1, digest = (select digest from entry where seq = last+1)",
         "delete from entry where seq = 3"),
        ("update gap set digest = replace(digest, 'a', 'b')",),
        ("update gap set note = note + 1",),
        ("update gap set last = 'x'",),
        ("delete from gap",),
        (FORGED_GAP.format(note="max(seq) from entry"), "delete from entry where seq = 4"),
        (FORGED_GAP.format(note="note from gap"), "delete from entry where seq = 4"),
        ("drop table gap",),
        ("drop table entry",),
        ("drop table head",),
        ("drop table alembic_version",),
        ("delete from alembic_version",),
        ("insert into alembic_version values ('0000')",),
    ],
    ids=lambda statements: statements[0][:60],
)  # fmt: skip
def test_no_change_to_a_row_goes_unseen(journal: Path, statements: tuple[str, ...]) -> None:
    before = content(journal)
    execute(journal, *statements)
    for read_only in (True, False):
        with pytest.raises(StoreError):
            opened(journal, read_only=read_only).close()
    assert len(before[0]) == 1 + COUNT + 1 - 3 + 1 + 1


def rewrite(path: Path, edit: Callable[[list[list[object]]], None]) -> None:
    """Do what a patient attacker does: edit rows, then make chain and head agree again."""
    raw = sqlite3.connect(path)
    raw.execute("delete from gap")
    rows = [list(row) for row in raw.execute("select * from entry order by seq")]
    edit(rows)
    raw.execute("delete from entry")
    digest = chain.GENESIS
    epoch = 0
    for seq, row in enumerate(rows, start=1):
        _, at, deployment, kind, packed, data, _ = row
        body = chain.unpack(packed, data)
        claimed = chain.read_note(body, chain.CLAIMED)
        epoch = claimed["epoch"] if claimed else epoch
        digest = chain.link(digest, seq, int(str(at)), str(deployment), str(kind), body)
        raw.execute(
            "insert into entry values (?,?,?,?,?,?,?)",
            (seq, at, deployment, kind, packed, data, digest),
        )
    raw.execute("update head set seq = ?, digest = ?, epoch = ?", (len(rows), digest, epoch))
    raw.commit()
    raw.close()


def _edit_one(rows: list[list[object]]) -> None:
    rows[6][5] = b'{"c":666}'


def _cut(rows: list[list[object]]) -> None:
    del rows[-8:]


@pytest.mark.parametrize("edit", [_edit_one, _cut])
def test_a_whole_rewrite_agrees_with_itself_and_not_with_the_anchor(
    journal: Path, edit: Callable[[list[list[object]]], None]
) -> None:
    rewrite(journal, edit)
    for read_only in (True, False):
        with pytest.raises(CorruptStoreError, match="anchored"):
            opened(journal, read_only=read_only)
    journal.with_name("j.db.anchor").unlink()
    content(journal)  # without the anchor nobody can tell: this is why there is one
    with pytest.raises(StoreError, match=r"anchor .* is gone"):
        opened(journal)


def test_a_vanished_or_emptied_file_is_not_begun_anew(journal: Path) -> None:
    journal.write_bytes(b"")
    with pytest.raises(CorruptStoreError, match="gone"):
        opened(journal)
    assert journal.read_bytes() == b""
    journal.unlink()
    with pytest.raises(CorruptStoreError, match="gone"):
        opened(journal)
    assert not journal.exists()


def test_a_write_behind_the_owner_is_noticed_at_its_next_append(journal: Path) -> None:
    store = opened(journal)
    store.claim_epoch("third", TimeNs(3))
    execute(
        journal,
        "delete from entry where seq = (select max(seq) from entry)",
        "update head set seq = seq - 1, digest = (select digest from entry order by seq desc)",
    )
    with pytest.raises(CorruptStoreError, match="behind its owner"):
        store.append([(TimeNs(1), "m", "command", b"{}")], durable=True)
    store.close()


@pytest.mark.slow
def test_no_flipped_bit_goes_unseen(journal: Path) -> None:
    """Flip one bit in each of 300 places: either all is read as it was, or reading raises.

    Free space and unused header fields may change without changing what is said.
    """
    before = content(journal)
    whole = journal.read_bytes()
    chance = random.Random(20260117)
    outcomes = {"same": 0, "noticed": 0}
    for _ in range(300):
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= bit
        journal.write_bytes(damaged)
        try:
            after = content(journal)
        except StoreError:
            outcomes["noticed"] += 1
            continue
        assert after == before, f"a flip of bit {bit} at byte {place} changed what is read"
        outcomes["same"] += 1
    assert outcomes["noticed"] >= 100, outcomes


@pytest.mark.slow
def test_no_flipped_bit_of_an_entry_goes_unseen(journal: Path) -> None:
    """Only flips inside stored bodies and digests.

    A compressed body may have a few bits that change nothing in what is unpacked.
    """
    before = content(journal)
    whole = journal.read_bytes()
    raw = sqlite3.connect(journal)
    values = [value for row in raw.execute("select body, digest from entry") for value in row]
    raw.close()
    places = []
    for value in values:
        stored = value if isinstance(value, bytes) else value.encode()
        start = whole.find(stored) if len(stored) > 6 else -1
        if start >= 0 and whole.count(stored) == 1:
            places += [start + offset for offset in range(len(stored))]
    chance = random.Random(4)
    assert len(places) > 2000
    noticed = 0
    for place in chance.sample(places, 150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        journal.write_bytes(damaged)
        try:
            after = content(journal)
        except StoreError:
            noticed += 1
            continue
        assert after == before
    assert noticed >= 145


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_noticed(journal: Path, share: float) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError):
        content(journal)


def test_a_torn_or_flipped_anchor_is_noticed_and_a_lagging_one_is_fine(journal: Path) -> None:
    anchor = journal.with_name("j.db.anchor")
    lines = anchor.read_bytes()
    flipped = bytearray(lines)
    flipped[40] ^= 1
    for damaged in (bytes(flipped), b"", b"\xff" * 86, lines[:50] + b"\n"):
        anchor.write_bytes(damaged)
        with pytest.raises(CorruptStoreError, match="anchor"):
            opened(journal)
    store = opened(journal, accept_missing_anchor=True, anchor=journal.with_name("other"))
    digest = next(iter(store.read())).digest
    store.close()
    anchor.write_bytes(b"%020d %s\n" % (1, digest.encode()))
    opened(journal).close()


def test_an_older_copy_put_back_is_noticed(journal: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    shutil.copy(journal, old)
    store = opened(journal)
    store.claim_epoch("third", TimeNs(3))
    store.close()
    shutil.copy(old, journal)
    with pytest.raises(CorruptStoreError, match="cut off"):
        opened(journal)
