"""Inputs of all kinds: which they are, where their outputs go, and what is odd in them."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.cli import detect_scan
from homeostat.cli.detect_arrays import ArrayTable
from homeostat.cli.detect_block import Block, joined
from homeostat.cli.detect_feed import Feed
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.detect_look import Scan
from homeostat.cli.detect_open import inputs, outputs, table

MINUTE = 60 * 10**9


class Rows:
    """A table in memory."""

    notes: tuple[str, ...] = ()
    timed = True

    def __init__(self, at: list[int], values: Any, columns: tuple[str, ...] = ("v",)) -> None:
        self.at, self.columns = at, columns
        self.values = np.array(values, dtype=float).reshape(len(at), len(columns))

    def blocks(self) -> Iterator[Block]:
        for start in range(0, len(self.at), 7):
            part = slice(start, start + 7)
            at = np.array(self.at[part])
            yield Block(
                [str(one) for one in self.at[part]], at, self.values[part],
                np.ones(len(at), dtype=bool), np.arange(start, start + len(at)) + 2,
            )  # fmt: skip


def look(rows: Rows) -> Scan:
    return detect_scan.look(rows, "in.csv")[1]


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_of_an_npz_file_train_is_learnt_from_and_test_has_the_rows(tmp_path: Path) -> None:
    path = npz(
        tmp_path / "a.npz",
        train=np.arange(5, dtype=np.float32),
        test=np.arange(5, 9, dtype=np.float32),
        train_ts=1_500_000_000 + 60 * np.arange(5),
        test_ts=1_500_000_000 + 60 * np.arange(5, 9),
        test_label=np.ones(4, dtype=np.uint8),
    )
    found = ArrayTable(path, Wanted())
    rows = joined(list(found.blocks()))
    assert rows.values.ravel().tolist() == list(range(9))
    assert rows.shown.tolist() == [False] * 5 + [True] * 4
    assert rows.texts[5] == "1500000300"
    assert (rows.at[1] - rows.at[0], rows.at[5]) == (MINUTE, 1_500_000_300 * 10**9)
    assert "learnt from 5 rows of train" in found.notes[0]


def test_without_times_the_rows_of_test_are_numbered_from_zero(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", train=np.ones((3, 2)), test=np.ones((2, 2)))
    found = ArrayTable(path, Wanted(columns=("column_2",)))
    rows = joined(list(found.blocks()))
    assert rows.texts == ["-3", "-2", "-1", "0", "1"]
    assert found.columns == ("column_2",)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": [1.0], "y": [2.0]}, "no array `test` (there are: x, y)"),
        ({"test": np.ones((2, 2, 2))}, "give numbers as [row] or [row, column]"),
        ({"test": np.ones(2) * 1j}, "give numbers as [row] or [row, column]"),
        ({"test": np.float64(1.0)}, "give numbers as [row] or [row, column]"),
        ({"test": np.ones(2), "test_ts": [1, 2**62]}, "times outside of 1823 to 2116"),
        ({"test": np.array(["a"])}, "give numbers as [row] or [row, column]"),
        ({"train": np.ones((2, 3)), "test": np.ones((2, 2))}, "train has 3 columns and test 2"),
        ({"test": np.ones(3), "test_ts": [1, 2]}, "test_ts has 2 times of int64 for 3 rows"),
        ({"test": np.ones(2), "test_ts": [1.0, np.nan]}, "holds times that are no numbers"),
        ({"test": np.ones((2, 2)), "columns": ["a", "a"]}, "1 different names for 2 columns"),
        ({"test": np.array([None, 1], dtype=object)}, "is no NPZ file of numbers"),
    ],
)
def test_arrays_that_are_of_no_use_are_named(
    tmp_path: Path, arrays: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError) as error:
        ArrayTable(npz(tmp_path / "a.npz", **arrays), Wanted())
    assert told in str(error.value)


@given(place=st.integers(0, 2000), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_a_damaged_npz_file_is_read_or_refused(
    npz_bytes: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int
) -> None:
    data = bytearray(npz_bytes)
    data[place % len(data)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(data[: len(data) - cut])
    with suppress(InputError):
        ArrayTable(path, Wanted())


@pytest.fixture(scope="module")
def npz_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("npz")
    return npz(folder / "a.npz", train=np.arange(9.0), test=np.arange(5.0)).read_bytes()


def test_a_file_that_is_no_npz_is_refused_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="is no NPZ file of numbers"):
        ArrayTable(tmp_path / "a.npz", Wanted())


def test_parquet_without_its_reader_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.cli.detect_parquet.find_spec", lambda name: None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"pip install 'homeostat\[parquet\]'"):
        table(tmp_path / "a.parquet", Wanted())


def test_outputs_mirror_the_folder_and_never_meet(tmp_path: Path) -> None:
    names = ["a.csv", "b.csv", "b.npz", "deep/c.tsv", ".hidden/d.csv", "e.md", "out/a.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = inputs(tmp_path, tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == names[:4]
    goes = [path.as_posix() for path in outputs(found, tmp_path, Path("o"))]
    assert goes == ["o/a.csv", "o/b.csv.csv", "o/b.npz.csv", "o/deep/c.csv"]


def test_an_output_never_takes_the_place_of_an_input(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("")
    for source, output in ((path, path), (tmp_path, tmp_path), (path, tmp_path)):
        with pytest.raises(InputError, match="choose another --output"):
            outputs(inputs(source, output), source, output)
    with pytest.raises(InputError, match="give a folder as --output"):
        outputs([path], tmp_path, path)
    with pytest.raises(InputError, match="is not there"):
        inputs(tmp_path / "none", path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file to judge"):
        inputs(tmp_path / "empty", path)


@given(order=st.permutations(list(range(25))))
def test_rows_in_no_order_are_judged_by_time(order: list[int]) -> None:
    rows = Rows([k * MINUTE for k in order], [float(k) for k in order])
    found, scan = detect_scan.look(rows, "in.csv")
    values = Feed(found, np.array([False])).take(99).values.ravel()
    descents = sum(a > b for a, b in pairwise(order))
    assert scan.sorted_rows == (descents > 2)
    if scan.sorted_rows:
        assert values.tolist() == list(range(25))
        assert scan.missing_rows == 0


def test_a_clock_that_went_back_once_leaves_the_order_of_the_file() -> None:
    at = [*range(0, 50 * MINUTE, MINUTE), *range(20 * MINUTE, 80 * MINUTE, MINUTE)]
    scan = look(Rows(at, np.zeros(len(at))))
    assert not scan.sorted_rows
    assert "the clock went back 1 time:" in " ".join(scan.notes)


def test_newest_first_is_sorted_however_short() -> None:
    assert look(Rows([3, 2, 1], [1.0, 2.0, 3.0])).sorted_rows


def test_a_first_look_tells_what_is_odd() -> None:
    count = 100
    at = [k * MINUTE for k in range(count)]
    late, gone = np.arange(count) * 1.0, np.sin(np.arange(count))
    late[:30], gone[60:] = np.nan, np.inf
    columns = ("flat", "rises", "gone", "never", "sent_total")
    table = np.stack([np.ones(count), late, gone, np.full(count, np.nan), np.arange(count)], axis=1)
    scan = look(Rows(at, table, columns))
    notes = " ".join(scan.notes)
    assert "flat never changes" in notes
    assert "rises appears at row 31" in notes
    assert "rises never falls" in notes
    assert "gone vanishes after row 60" in notes
    assert "never has no value at all" in notes
    assert "sent_total never falls" not in notes
    assert (scan.unknown, scan.infinite) == ({"rises": 30, "never": 100}, {"gone": 40})
    assert scan.step_s == 60.0


def test_counters_are_known_by_name_or_named_by_a_person() -> None:
    columns = ("requests_total", "cpu")
    for said, flags in ((("auto",), [True, False]), (("none",), [False, False])):
        found = detect_scan.counters(columns, Wanted(counters=said), "x")
        assert found.tolist() == flags
    named = detect_scan.counters(columns, Wanted(counters=("cpu",)), "x")
    assert named.tolist() == [False, True]
    with pytest.raises(InputError, match="no column 'gpu' to take for a counter"):
        detect_scan.counters(columns, Wanted(counters=("gpu",)), "x")


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_ticks_are_the_same_however_many_are_taken_at_a_time(sizes: list[int]) -> None:
    at = [k * MINUTE for k in range(40) if k not in {12, 13, 14, 33}]
    rows = Rows(at, np.arange(len(at)))
    whole = Feed(rows, np.array([False])).take(99)
    feed = Feed(rows, np.array([False]))
    parts = [feed.take(size) for size in [*sizes, 99]]
    np.testing.assert_array_equal(np.concatenate([p.values for p in parts]), whole.values)
    assert len(whole.values) == 40
    assert np.isnan(whole.values.ravel()).nonzero()[0].tolist() == [12, 13, 14, 33]
    texts = [text for part in parts if part.block is not None for text in part.block.texts]
    assert texts == [str(one) for one in at]
    again = Feed(rows, np.array([False]))
    assert again.skip(40)
    assert (again.digest, again.rows) == (feed.digest, len(at))
    assert not again.skip(1)
