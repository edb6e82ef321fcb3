"""Tables of text: whatever their shape, all of it is read, or the line is named."""

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.cli.detect_block import Block, joined
from homeostat.cli.detect_csv import LONGEST, CsvTable
from homeostat.cli.detect_layout import EmptyError, InputError, Wanted

START = 1_700_000_000

values = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(-1e12, 1e12)), st.floats(allow_nan=False, width=32)
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


def written(folder: Path, data: str | bytes) -> Path:
    path = folder / "in.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def whole(path: Path, wanted: Wanted | None = None, block: int = 1 << 18) -> Block:
    return joined(list(CsvTable(path, wanted or Wanted(), block=block).blocks()))


ISO: dict[str, Callable[[int], str]] = {
    "space": lambda s: f"2023-11-14 {22 + (13 + s) // 60}:{(13 + s) % 60:02d}:20",
    "epoch": lambda s: str(START + 60 * s),
    "epoch ms": lambda s: str((START + 60 * s) * 1000),
    "epoch with a fraction": lambda s: f"{START + 60 * s}.0",
    "T and Z": lambda s: f"2023-11-14T{22 + (13 + s) // 60}:{(13 + s) % 60:02d}:20Z",
    "offset": lambda s: f"2023-11-15T0{(13 + s) // 60}:{(13 + s) % 60:02d}:20+02:00",
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a table looks."""

    stamp: str
    separator: str
    end: str
    mark: bool
    quoted: bool
    last: bool
    header: bool


looks = st.builds(
    Look,
    stamp=st.sampled_from(sorted(ISO)),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.booleans(),
    quoted=st.booleans(),
    last=st.booleans(),
    header=st.booleans(),
)


@given(rows=values, look=looks, block=st.integers(1, 200))
def test_whatever_a_table_looks_like_what_is_in_it_is_read(
    folder: Path, rows: list[tuple[float | None, float]], look: Look, block: int
) -> None:
    stamp = ISO[look.stamp]
    cells = [(stamp(k), "" if a is None else repr(a), repr(b)) for k, (a, b) in enumerate(rows)]
    if look.header:
        cells.insert(0, ("Timestamp", "größe", "b"))
    quote = '"' * look.quoted
    lines = [look.separator.join(f"{quote}{cell}{quote}" for cell in row) for row in cells]
    data = ("\ufeff" * look.mark + look.end.join(lines) + look.end * look.last).encode()
    found = whole(written(folder, data), block=block)
    assert found.at.tolist() == [(START + 60 * k) * 10**9 for k in range(len(rows))]
    assert found.texts == [stamp(k) for k in range(len(rows))]
    expected = np.array([[np.nan if one is None else one, other] for one, other in rows])
    np.testing.assert_array_equal(found.values, expected)
    assert found.line.tolist() == list(range(1 + look.header, len(rows) + 1 + look.header))
    assert found.shown.all()


@given(data=st.binary(max_size=300))
def test_no_bytes_at_all_end_in_anything_but_rows_or_a_named_error(
    folder: Path, data: bytes
) -> None:
    path = written(folder, data)
    told, blocks = "", list[Block]()
    try:
        blocks = list(CsvTable(path, Wanted(), block=16).blocks())
    except InputError as error:
        told = str(error)
    assert not told or told.startswith(str(path))
    assert all(len(block.texts) == len(block.at) == len(block.values) for block in blocks)


@pytest.mark.parametrize("bad", ["twelve", "1e", "--", "0x10", "1,5", "$3"])
@given(place=st.integers(0, 30), block=st.integers(1, 90))
def test_a_cell_that_is_no_number_is_named_with_its_line(
    folder: Path, bad: str, place: int, block: int
) -> None:
    rows = [f"{START + k},{k}" for k in range(31)]
    rows[place] = f'{START + place},"{bad}"'
    path = written(folder, "timestamp,cpu\n" + "\n".join(rows) + "\n")
    with pytest.raises(InputError) as told:
        whole(path, block=block)
    assert f"in.csv:{place + 2}: cpu is '{bad}', no number" in str(told.value)
    assert "correct it" in str(told.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"timestamp,v\n1,1\n2,\xff\n", ":3: byte 0xff is not UTF-8; convert the file"),
        ("timestamp,v\n1,1\n".encode("utf-16"), ":1: is UTF-16; convert it"),
        (b"timestamp,v\n1,1\n2,\x002\n", ":3: holds a NUL byte"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "byte 0x89 is not UTF-8"),
        (b"timestamp,v\n1,1\n2\n", ":3: 1 cells where the first row has 2"),
        (b"timestamp,v\n1,1\n2\n", "; complete the row, or remove it"),
        (b"timestamp,v\n1,1\n2,3,4\n", ":3: 3 cells where the first row has 2"),
        (b"timestamp,v\n1,1\n2,3,4\n", "; 1 cell too many: put a cell that holds , in double"),
        (b"timestamp,v\n1,1\n2,3,4\n", "or name all 3 columns in the first row, or remove it"),
        (b"timestamp\tv\n1\t1\n2\t3\t4\t5\n", "; 2 cells too many: put a cell that holds a tab"),
        (b"timestamp,v\n1,1\nnoon,2\n", ":3: 'noon' is no time as the first one is (seconds"),
        (b"timestamp,v\n1,1\n2026-01-01,2\n", ":3: '2026-01-01' is no time as the first one"),
        (b"timestamp,v\n31/12/2026 10:00,1\n", ":2: '31/12/2026 10:00' is no time; write ISO"),
        (b"timestamp,v,v\n1,1,2\n", ":1: two columns are called 'v'; rename one"),
        (b"timestamp,host\n1,a\n2,b\n", ":1: no column of numbers beside the times"),
        (b"a,b\n1,2\n", ":1: no column of times (there are: a, b); name it `timestamp`"),
        (b"timestamp\n1\n2\n", ":1: no column of numbers beside the times"),
        (b"timestamp,v\n1,1\n,2\n", ":3: '' is no time"),
        (b'timestamp,v\n1,1\n2,"3\n4,5\n', ":4: "),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_a_way_out(
    folder: Path, data: bytes, told: str
) -> None:
    path = written(folder, data)
    with pytest.raises(InputError) as error:
        whole(path)
    assert str(error.value).startswith(f"{path}")
    assert told in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\n\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_line_is_empty(folder: Path, data: bytes) -> None:
    with pytest.raises(EmptyError):
        CsvTable(written(folder, data), Wanted())


def test_a_line_without_end_is_refused_and_a_long_one_is_not(folder: Path) -> None:
    head = b"timestamp,v\n1,1\n"
    with pytest.raises(InputError, match="field larger than field limit"):
        whole(written(folder, head + b"2," + b" " * 200_000 + b"5\n"))
    with pytest.raises(InputError, match=r":3: a line or a quoted cell is longer than 1,048,576"):
        whole(written(folder, head + b"7" * (LONGEST + (1 << 19))))
    found = whole(written(folder, head + b"2," + b" " * 100_000 + b"5\n"))
    assert found.values.ravel().tolist() == [1.0, 5.0]


def test_a_folder_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        CsvTable(tmp_path, Wanted())
    with pytest.raises(InputError, match="No such file"):
        CsvTable(tmp_path / "none.csv", Wanted())


def test_semicolons_let_the_comma_be_a_decimal_sign(folder: Path) -> None:
    found = whole(written(folder, "Datetime;a;b\n2026-01-01 00:00:00;1,5;-2,25e3\n"))
    assert found.values.tolist() == [[1.5, -2250.0]]


@pytest.mark.parametrize("nothing", ["", " ", "NaN", "null", "None", "N/A", "-", "?"])
def test_what_stands_for_nothing_is_unknown_and_infinity_is_kept(
    folder: Path, nothing: str
) -> None:
    found = whole(written(folder, f"timestamp,v\n1,1\n2,{nothing}\n3,-inf\n4,0\n"))
    np.testing.assert_array_equal(found.values.ravel(), [1.0, np.nan, -np.inf, 0.0])


def test_labels_and_text_are_told_and_not_judged(folder: Path) -> None:
    path = written(folder, '"TimeStamp","Value","Host","Label"\n"1","0","a","0"\n"2","1","","1"\n')
    table = CsvTable(path, Wanted())
    assert table.columns == ("Value",)
    assert "column 'Host' holds text" in " ".join(table.notes)
    assert "column 'Label' is taken for labels" in " ".join(table.notes)
    assert CsvTable(path, Wanted(columns=("Label",))).columns == ("Label",)


def test_a_person_may_name_the_columns(folder: Path) -> None:
    path = written(folder, "a,when,b\n1,2026-01-01,2\n3,2026-01-02,4\n")
    table = CsvTable(path, Wanted(time="when", columns=("b",)))
    assert table.columns == ("b",)
    assert joined(list(table.blocks())).values.tolist() == [[2.0], [4.0]]
    with pytest.raises(InputError, match="no column is called 'x'"):
        CsvTable(path, Wanted(time="x"))
    with pytest.raises(InputError, match="no column of values is called 'when'"):
        CsvTable(path, Wanted(time="when", columns=("when",)))
    numbered = CsvTable(written(folder, "a,b\n5,6\n7,8\n"), Wanted(time=""))
    assert joined(list(numbered.blocks())).texts == ["0", "1"]


def test_names_that_are_numbers_are_names_beside_a_column_of_times(folder: Path) -> None:
    table = CsvTable(written(folder, "timestamp,0,1\n1,2,3\n"), Wanted())
    assert table.columns == ("0", "1")


def test_one_column_alone_is_values_and_rows_are_numbered(folder: Path) -> None:
    found = whole(written(folder, "cpu\n5\n6\n"))
    assert (found.texts, found.values.ravel().tolist()) == (["0", "1"], [5.0, 6.0])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(folder: Path) -> None:
    peaks = []
    for count in (20_000, 80_000):
        rows = "".join(f"{START + 60 * k},{k % 97}\n" for k in range(count))
        path = written(folder, "timestamp,v\n" + rows)
        tracemalloc.start()
        read = sum(len(block.at) for block in CsvTable(path, Wanted(), block=1 << 16).blocks())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert read == count
    assert peaks[1] < 1.2 * peaks[0]
