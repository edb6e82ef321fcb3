"""The chain as pure values: one changed field is one changed digest, one lost row one error."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.stores import chain
from homeostat.adapters.stores.chain import GENESIS, Gap, Head, Walker
from homeostat.base.errors import CorruptStoreError

Row = tuple[int, int, str, str, int, bytes, str]

rows_of_anything = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.text(max_size=5),
        st.sampled_from(sorted(chain.KINDS)),
        st.binary(max_size=40),
    ),
    min_size=1,
    max_size=12,
)


def chained(values: list[tuple[int, str, str, bytes]], above: int = 8) -> list[Row]:
    digest, rows = GENESIS, []
    for seq, (at, deployment, kind, body) in enumerate(values, start=1):
        digest = chain.link(digest, seq, at, deployment, kind, body)
        packed, data = chain.pack(body, above)
        rows.append((seq, at, deployment, kind, int(packed), data, digest))
    return rows


def head_of(rows: list[Row]) -> Head:
    return Head(seq=rows[-1][0], digest=rows[-1][-1], epoch=0, owner="")


def walk(rows: list[Row], head: Head) -> list[bytes]:
    walker = Walker(0, GENESIS)
    bodies = [walker.step(row).body for row in rows]
    walker.finish(head, whole=True)
    return bodies


@given(values=rows_of_anything)
def test_a_chain_of_anything_verifies(values: list[tuple[int, str, str, bytes]]) -> None:
    rows = chained(values)
    assert walk(rows, head_of(rows)) == [body for *_, body in values]


@given(values=rows_of_anything, data=st.data())
def test_any_edit_drop_swap_repeat_or_cut_is_an_error(
    values: list[tuple[int, str, str, bytes]], data: st.DataObject
) -> None:
    rows = chained(values)
    head = head_of(rows)
    place = data.draw(st.integers(0, len(rows) - 1))
    seq, at, deployment, kind, packed, body, digest = rows[place]
    change = data.draw(st.sampled_from(["at", "deployment", "kind", "body", "drop", "twice"]))
    edited: list[Row] = {
        "at": [(seq, at ^ 1, deployment, kind, packed, body, digest)],
        "deployment": [(seq, at, deployment + "x", kind, packed, body, digest)],
        "kind": [(seq, at, deployment, kind + "s", packed, body, digest)],
        "body": [(seq, at, deployment, kind, 0, body + b"x", digest)],
        "drop": [],
        "twice": [rows[place], rows[place]],
    }[change]
    with pytest.raises(CorruptStoreError):
        walk(rows[:place] + edited + rows[place + 1 :], head)


@given(body=st.binary(max_size=3000), above=st.integers(0, 3000))
def test_packing_is_undone_by_unpacking(body: bytes, above: int) -> None:
    assert chain.unpack(*chain.pack(body, above)) == body


def test_a_bomb_in_a_row_is_not_unpacked() -> None:
    bomb = zlib.compress(b"\0" * (chain.BODY_MAX + 1))
    with pytest.raises(ValueError, match="too long"):
        chain.unpack(1, bomb)


@pytest.mark.parametrize(
    ("packed", "data"),
    [(0, "text"), (0, None), (0, 10**9), (1, b"junk"), (1, b""), (2, b""), ("0", b""), (None, b"")],
)
def test_a_row_of_another_type_is_an_error_not_an_allocation(packed: object, data: object) -> None:
    with pytest.raises(ValueError, match=r"body|packed"):
        chain.unpack(packed, data)


def test_a_gap_that_no_note_vouches_for_is_an_error() -> None:
    rows = chained([(1, "", "frame", b"a"), (2, "", "frame", b"b"), (3, "", "note", b"{}")])
    gap = Gap(first=1, last=2, digest=rows[1][-1], note=3)
    walker = Walker(0, GENESIS)
    walker.skip(gap)
    with pytest.raises(CorruptStoreError, match=r"entry 1: .*names other entries"):
        walker.step(rows[2], [gap])
    body = chain.note(chain.DROPPED, count=2, gaps=chain.gaps_digest([gap]))
    rows = chained([(1, "", "frame", b"a"), (2, "", "frame", b"b"), (3, "", "note", body)])
    gap = Gap(first=1, last=2, digest=rows[1][-1], note=3)
    walker = Walker(0, GENESIS)
    walker.skip(gap)
    walker.step(rows[2], [gap])
    walker.finish(head_of(rows), whole=True)


@pytest.mark.parametrize(("first", "last", "note"), [(2, 3, 9), (1, 0, 9), (1, 5, 5), (1, 5, 2)])
def test_a_gap_that_does_not_fit_is_an_error(first: int, last: int, note: int) -> None:
    with pytest.raises(CorruptStoreError, match="does not fit"):
        Walker(0, GENESIS).skip(Gap(first=first, last=last, digest=GENESIS, note=note))
