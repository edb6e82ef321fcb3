"""Every body is either read exactly or refused with the field that is wrong."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.adapters.sources.prometheus_answer import Answered, QueryError, read, words
from homeostat.base.evidence import Quality

WHERE = "http://prom:9090"


def body(result: Any, kind: str = "matrix", **more: Any) -> bytes:
    said = {"status": "success", "data": {"resultType": kind, "result": result}} | more
    return json.dumps(said).encode()


def answered(raw: bytes, *, series: int = 10, samples: int = 100) -> Answered:
    return read(WHERE, raw, most_series=series, most_samples=samples)


def test_a_matrix_keeps_labels_times_and_odd_numbers() -> None:
    values = [[1.5, "1"], [2, "NaN"], [3, "+Inf"], [4.25, "1e+06"]]
    found = answered(body([{"metric": {"__name__": "up", "job": "a"}, "values": values}]))
    (series,) = found.series
    assert (series.name, series.labels["job"]) == ("up", "a")
    assert [at for at, _ in series.samples] == [1.5, 2.0, 3.0, 4.25]
    assert math.isnan(series.samples[1][1])
    assert [series.samples[place][1] for place in (0, 2, 3)] == [1.0, math.inf, 1e6]


def test_a_vector_and_a_scalar_have_one_sample() -> None:
    vector = answered(body([{"metric": {}, "value": [7, "2"]}], "vector"))
    assert vector.series[0].samples == ((7.0, 2.0),)
    assert answered(body([7, "2"], "scalar")).series == vector.series


def test_no_series_is_an_answer_and_holds_nothing() -> None:
    assert answered(body([], "vector")).series == ()


SERIES = {"metric": {}, "values": [[1, "1"]]}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"<html>", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b'{"status":"success","status":"success"}', ""),
        (b'{"status":"success","data":{"resultType":"vector","result":[NaN]}}', ""),
        (b"{}", "status"),
        (b'{"status":"success"}', "data"),
        (body([], "string"), "data.resultType"),
        (body([], "streams"), "data.resultType"),
        (body({}), "data.result"),
        (body([3]), "data.result[0]"),
        (body([SERIES, {"values": []}]), "data.result[1].metric"),
        (body([{"metric": {"a": 1}, "values": []}]), "data.result[0].metric"),
        (body([SERIES, SERIES]), "data.result[1].metric"),
        (body([{"metric": {}}]), "data.result[0].values"),
        (body([{"metric": {}, "histograms": []}]), "data.result[0]"),
        (body([{"metric": {}, "values": [[1, 2]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [["1", "2"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[True, "2"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[-1, "2"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[1e300, "2"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[1, "1_0"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[1, " 1"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[1, ""]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[1, "9" * 65]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[2, "1"], [1, "1"]]}]), "data.result[0].values"),
        (body([{"metric": {}, "values": [[1, "1"], [1, "2"]]}]), "data.result[0].values"),
        (body([], warnings="none"), "warnings"),
    ],
)
def test_what_is_wrong_is_refused_with_the_address_and_the_field(raw: bytes, field: str) -> None:
    with pytest.raises(QueryError) as refused:
        answered(raw)
    assert refused.value.quality is Quality.ABSURD
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{WHERE}: {field}")


def test_limits_refuse_the_whole_answer() -> None:
    two = [{"metric": {"a": str(n)}, "values": [[1, "1"], [2, "1"]]} for n in range(2)]
    assert len(answered(body(two), series=2, samples=4).series) == 2
    with pytest.raises(QueryError, match="2 series, more than 1; narrow"):
        answered(body(two), series=1)
    with pytest.raises(QueryError, match="more than 3 samples; ask for less"):
        answered(body(two), samples=3)


def test_an_error_of_the_server_is_told_in_its_own_words_without_control_characters() -> None:
    raw = json.dumps({"status": "error", "errorType": "bad_data", "error": "no\x1b[31m!"}).encode()
    with pytest.raises(QueryError, match=r"the query failed: no \[31m!") as refused:
        answered(raw)
    assert refused.value.quality is Quality.UNREACHABLE


@pytest.mark.parametrize(
    "more",
    [
        {"warnings": ["store-2: connection refused"]},
        {"isPartial": True},
        {"isPartial": "yes"},
    ],
)
def test_a_partial_answer_is_unknown_and_never_half_a_sum(more: dict[str, Any]) -> None:
    found = answered(body([SERIES], **more))
    with pytest.raises(QueryError, match="partial") as refused:
        found.whole(WHERE)
    assert refused.value.quality is Quality.UNREACHABLE


def test_a_whole_answer_is_itself() -> None:
    found = answered(body([SERIES], isPartial=False, warnings=[], infos=["a note"]))
    assert found.whole(WHERE) is found


def test_names_are_texts_and_null_is_none_of_them() -> None:
    assert words(WHERE, b'{"status":"success","data":["a","b"]}') == ("a", "b")
    assert words(WHERE, b'{"status":"success","data":null}') == ()
    for bad in (b'{"status":"success","data":{"a":1}}', b'{"status":"success","data":[1]}'):
        with pytest.raises(QueryError, match="list of names"):
            words(WHERE, bad)
    with pytest.raises(QueryError, match="partial"):
        words(WHERE, b'{"status":"success","data":["a"],"isPartial":true}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "data", "result", "resultType", "metric", "values", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def refusal_of(raw: bytes) -> QueryError | None:
    try:
        answered(raw)
    except QueryError as refused:
        return refused
    return None


@settings(max_examples=50)
@given(st.binary(max_size=60) | _JSON.map(lambda said: json.dumps(said).encode()))
def test_nothing_but_its_own_error_ever_comes_out(raw: bytes) -> None:
    assert refusal_of(raw) is not None  # none of these is a whole answer


@settings(max_examples=50)
@given(_JSON)
def test_a_strange_result_is_read_or_refused_with_its_place(result: Any) -> None:
    refused = refusal_of(body(result))
    assert (refused is None) == (result == [])
    assert refused is None or refused.field.startswith("data.result") or refused.field == ""
