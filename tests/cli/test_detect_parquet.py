"""Real Parquet files: read as the same table written as CSV would be, or refused by name."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.cli.detect_block import Block, joined
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.detect_open import table

pa: Any = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
pq: Any = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")

START = datetime(2026, 3, 1, tzinfo=UTC)
TIMES = [START + timedelta(minutes=k) for k in range(9)]
VALUES = [1.5, None, 3.0, float("nan"), 5.0, float("inf"), -7.25, 1e300, 0.0]


def written(folder: Path, columns: dict[str, Any], **how: Any) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table(columns), path, **how)
    return path


def rows(path: Path, wanted: Wanted | None = None) -> Block:
    return joined(list(table(path, wanted or Wanted()).blocks()))


def as_csv(folder: Path) -> Block:
    shown = ["" if value is None else repr(value) for value in VALUES]
    lines = [f"{at.isoformat(sep=' ')},{value}" for at, value in zip(TIMES, shown, strict=True)]
    path = folder / "a.csv"
    path.write_text("\n".join(["timestamp,v", *lines]) + "\n")
    return rows(path)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "+02:00"])
def test_times_of_every_unit_and_zone_mean_what_they_mean_as_csv(
    tmp_path: Path, unit: str, zone: str | None
) -> None:
    at = pa.array(TIMES, pa.timestamp(unit, "UTC"))
    times = at.cast(pa.timestamp(unit, zone))
    found = rows(written(tmp_path, {"timestamp": times, "v": VALUES}, row_group_size=2))
    same = as_csv(tmp_path)
    assert found.at.tolist() == same.at.tolist()
    assert np.array_equal(found.values, same.values, equal_nan=True)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_time_finer_than_a_microsecond_is_one_all_the_same(
    tmp_path: Path, zone: str | None
) -> None:
    first = int(START.timestamp()) * 10**9
    at = [first + 60 * 10**9 * k + 7_123 for k in range(4)]
    times = pa.array(at, pa.timestamp("ns", zone))
    found = rows(written(tmp_path, {"timestamp": times, "v": [1.0] * 4}))
    assert found.at.tolist() == [one - 123 for one in at]


def test_numbers_of_every_kind_are_numbers(tmp_path: Path) -> None:
    numbers = {
        "i8": pa.array([1, None, 3], pa.int8()),
        "u64": pa.array([2**63, 1, 2], pa.uint64()),
        "f32": pa.array([0.5, 1.5, None], pa.float32()),
        "decimal": pa.array([Decimal("1.25"), None, Decimal("-3.00")]),
        "text": pa.array(["7", "8.5", ""]).dictionary_encode(),
    }
    path = written(tmp_path, {"timestamp": TIMES[:3], **numbers})
    found = table(path, Wanted())
    assert found.columns == tuple(numbers)
    values = joined(list(found.blocks())).values
    wanted = [[1, 2**63, 0.5, 1.25, 7], [np.nan, 1, 1.5, np.nan, 8.5], [3, 2, np.nan, -3, np.nan]]
    assert np.array_equal(values, np.array(wanted, float), equal_nan=True)


def test_rows_keep_their_times_as_text_and_their_numbers(tmp_path: Path) -> None:
    columns = {"time": TIMES[:3], "cpu": [1.5, None, 2.0], "host": ["a", "b", "c"]}
    found = rows(written(tmp_path, columns))
    assert found.texts[2] == "2026-03-01 00:02:00+00:00"
    assert found.line.tolist() == [1, 2, 3]


def test_columns_that_are_no_numbers_are_left_out_and_dates_are_times(tmp_path: Path) -> None:
    days = [date(2026, 3, 1) + timedelta(days=k) for k in range(3)]
    nested = [{"x": 1}, {"x": 2}, None]
    path = written(tmp_path, {"date": days, "host": ["a", "b", "c"], "of": nested, "v": [1, 2, 3]})
    found = table(path, Wanted())
    assert found.columns == ("v",)
    at = joined(list(found.blocks())).at
    assert np.diff(at).tolist() == [86_400 * 10**9] * 2


def test_many_rows_come_in_blocks_with_their_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, {"v": np.arange(10_000.0)}, row_group_size=3_000)
    blocks = list(table(path, Wanted(time="")).blocks())
    assert len(blocks) > 2
    assert joined(blocks).values.ravel().tolist() == list(range(10_000))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"timestamp": TIMES, "host": ["a"] * 9}, "no column of numbers"),
        ({}, "a.parquet"),
    ],
)
def test_tables_that_are_of_no_use_are_refused(
    tmp_path: Path, columns: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        rows(written(tmp_path, columns))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["v", "v"])
    pq.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="v"):
        rows(tmp_path / "a.parquet", Wanted(time=""))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    return written(folder, {"timestamp": TIMES, "v": VALUES}).read_bytes()


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.integers(0, 60))
def test_a_damaged_file_is_read_or_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int
) -> None:
    data = bytearray(whole)
    data[place % len(data)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    path.write_bytes(data[: len(data) - cut])
    with suppress(InputError):
        rows(path)


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"PAR1", b"PAR1PAR1", b"timestamp,v\n1,2\n")):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(data)
        with pytest.raises(InputError, match="is no Parquet file"):
            table(path, Wanted())
