"""The page reader: whatever the bytes, it answers readings or AbsurdError, and quickly."""

import contextlib
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from homeostat.adapters.sources._fetch import AbsurdError
from homeostat.adapters.sources._mapping import Mapper
from homeostat.adapters.sources._page import PageReader
from homeostat.adapters.sources.presets import ENVOY, HOMEOSTAT_INSTRUMENT, PRESETS, Preset


def reader(preset: Preset = HOMEOSTAT_INSTRUMENT, *, max_series: int = 1000) -> PageReader:
    mapper = Mapper(preset=preset, deployment="m", subject="replica:a-1")
    return PageReader(mapper, max_series=max_series)


NAMES = sorted({rule.sample for preset in PRESETS.values() for rule in preset.rules})
_line = st.builds(
    "{}{}{}{}".format,
    st.sampled_from([*NAMES, "other", "é", ""]),
    st.sampled_from(["", "{}", '{le="1"}', '{le="+Inf",feature="f"}', '{code="200"', '{a="\\"}']),
    st.sampled_from([" ", "", "  ", "\t", "\r"]),
    st.one_of(st.floats().map(str), st.text(max_size=5), st.just("1 1700000000000")),
)
_pages = st.one_of(
    st.lists(_line, max_size=12).map(lambda lines: "\n".join(lines).encode()),
    st.binary(max_size=200),
    st.text(alphabet='{}"\\,=# \n\tml_info1aé\x00', max_size=80).map(str.encode),
)


@given(page=_pages, kind=st.sampled_from(["text/plain", "application/openmetrics-text", ""]))
def test_no_page_raises_anything_but_its_own_error(page: bytes, kind: str) -> None:
    for preset in (HOMEOSTAT_INSTRUMENT, ENVOY):
        try:
            readings = reader(preset).read(kind, page)
        except AbsurdError:
            continue
        identities = [meaning.identity for meaning, _, _ in readings]
        assert len(identities) == len(set(identities))


@given(page=_pages)
def test_remembering_series_changes_no_answer(page: bytes) -> None:
    fresh, used = reader(), reader()
    try:
        used.read("text/plain", b'ml_info{version="v1"} 1\nother{} 3\nml_inflight 2\n')
        used.read("text/plain", page)
    except AbsurdError:
        pass
    answers = []
    for one in (fresh, used):
        try:
            answers.append(repr(one.read("text/plain", page)))
        except AbsurdError as refused:
            answers.append(str(refused))
    assert answers[0] == answers[1]


_label = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=10)


@given(labels=st.dictionaries(st.sampled_from(["code", "a", "b_1"]), _label), value=st.floats())
def test_a_line_means_what_the_library_reads(labels: dict[str, str], value: float) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inside = ",".join(f'{name}="{quoted(text)}"' for name, text in labels.items())
    line = f"ml_requests_total{{{inside}}} {value}".replace("nan", "NaN")
    theirs = [
        sample for family in text_string_to_metric_families(line) for sample in family.samples
    ]
    ours = reader().read("text/plain", line.encode())
    assert [meaning.identity[1] for meaning, _, _ in ours] == [
        tuple(sorted(sample.labels.items())) for sample in theirs
    ]
    assert repr([read for _, read, _ in ours]) == repr([float(s.value) for s in theirs])


@pytest.mark.parametrize(
    "line",
    [
        b'ml_info{version="' + b"\\" * 3000 + b'"} 1',
        b"ml_info{" + b",".join(b'a%d="x"' % n for n in range(400)) + b"} 1",
        b"ml_info" + b"{" * 4000 + b" 1",
        b"ml_inflight " + b"9" * 4000,
        b"ml_inflight " + b"1" * 1_000_000 + b"x",
    ],
)
def test_no_single_line_is_slow(line: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(AbsurdError):
        reader().read("text/plain", line)
    assert time.process_time() - started < 5.0  # milliseconds; hours where it grows as its square


def test_what_it_remembers_is_bounded_by_the_last_page() -> None:
    one = reader()
    for round_ in range(50):
        one.read("text/plain", b'ml_info{version="v%d"} 1\nml_inflight 1\n' % round_)
    assert len(one._known) == 2


def test_bounds_are_scaled_without_dust() -> None:
    page = b'ml_request_seconds_bucket{le="0.035"} 1\nml_request_seconds_bucket{le="+Inf"} 1\n'
    bounds = [meaning.targets[0].le for meaning, _, _ in reader().read("text/plain", page)]
    assert bounds == [35.0, math.inf]
