"""Lines of the output, incidents, and a name that a file gets when it is whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.errors import ConfigError
from homeostat.cli.detect_block import Block
from homeostat.cli.detect_tally import Tally
from homeostat.cli.detect_write import Sink, lines, write_text
from homeostat.detect.stack import Said

NAN = float("nan")


def said(
    evidence: list[float],
    *,
    alarm: list[int] | None = None,
    active: list[int] | None = None,
    shares: list[list[float]] | None = None,
    spoke: list[int] | None = None,
) -> Said:
    """Return what was said of rows, time first."""
    p = np.array(evidence, dtype=float)
    none = np.zeros(len(p))
    split = np.array(shares if shares is not None else np.ones((len(p), 1)), dtype=float)
    return Said(
        neg_log10_p=p,
        anomaly_score=p / (p + 8.0),
        alarm=np.array(none if alarm is None else alarm, dtype=bool),
        active=np.array(none if active is None else active, dtype=bool),
        unknown=np.isnan(p),
        contributions=split,
        low=split,
        high=split,
        spoke=np.array(none if spoke is None else spoke, dtype=bool),
    )


def block(texts: list[str], line: list[int] | None = None) -> Block:
    count = len(texts)
    return Block(
        texts, np.arange(count), np.zeros((count, 1)), np.ones(count, dtype=bool),
        np.array(line or range(count)),
    )  # fmt: skip


def test_a_row_says_score_evidence_alarm_verdict_and_shares() -> None:
    what = said(
        [NAN, 0.0, 8.0, NAN],
        alarm=[0, 0, 1, 0],
        active=[0, 0, 1, 1],
        shares=[[NAN, NAN], [NAN, NAN], [0.25, 0.75], [NAN, NAN]],
    )
    assert lines(["a", "b", "c", "d"], what) == [
        "a,0,,0,unknown,,",
        "b,0,0,0,healthy,,",
        "c,0.5,8,1,anomalous,0.25,0.75",
        "d,0,,0,unknown,,",
    ]


def test_scores_keep_what_tells_the_rarest_from_the_rarer() -> None:
    near, far = lines(["a", "b"], said([299.0, 300.0]))
    assert near.split(",")[1] != far.split(",")[1]
    assert float(near.split(",")[1]) == pytest.approx(299.0 / 307.0, rel=1e-8)


def test_an_incident_names_its_ends_its_peak_and_its_columns() -> None:
    tally = Tally(columns=["cpu", "disk"])
    shares = [[NAN, NAN], [1.0, 0.0], [0.5, 0.5], [NAN, NAN], [0.0, 1.0]]
    tally.add(
        list("abcde"),
        said(
            [0.0, 4.0, 12.0, NAN, 0.0],
            alarm=[0, 1, 0, 0, 0],
            active=[0, 1, 1, 1, 0],
            shares=shares,
            spoke=[0, 1, 1, 0, 0],
        ),
    )
    (one,) = tally.incidents()
    assert one == {
        "start": "b",
        "end": "d",
        "last_evidence": "c",
        "rows": 3,
        "anomaly_score": 0.6,
        "neg_log10_p": 12.0,
        "columns": [{"name": "cpu", "share": 0.625}, {"name": "disk", "share": 0.375}],
    }
    assert (tally.rows, tally.unknown, tally.alarms) == (5, 1, 1)


def test_an_incident_that_lasts_has_no_end_and_two_in_a_row_are_two() -> None:
    tally = Tally(columns=["v"])
    tally.add(list("abcd"), said([9.0] * 4, alarm=[1, 0, 1, 0], active=[1] * 4))
    assert [(one["start"], one["end"]) for one in tally.incidents()] == [("a", "b"), ("c", None)]


@given(
    flags=st.lists(st.sampled_from([(0, 0), (1, 0), (1, 1)]), min_size=1, max_size=30),
    cuts=st.lists(st.integers(1, 8), max_size=8),
)
def test_incidents_do_not_depend_on_the_pieces_and_survive_json(
    flags: list[tuple[int, int]], cuts: list[int]
) -> None:
    active = [one for one, _ in flags]
    # An incident begins with an alarm; where there is none the row is not active.
    for k, (_, starts) in enumerate(flags):
        active[k] = int(starts or (active[k] and k > 0 and active[k - 1]))
    alarm = [one for _, one in flags]
    loud = [int(k % 3 == 0 and one) for k, one in enumerate(active)]
    texts = [str(k) for k in range(len(flags))]
    evidence = [float(k % 5) for k in range(len(flags))]
    whole, parts = Tally(columns=["v"]), Tally(columns=["v"])
    whole.add(texts, said(evidence, alarm=alarm, active=active, spoke=loud))
    begun = 0
    for size in [*cuts, len(flags)]:
        part = slice(begun, begun + size)
        what = said(evidence[part], alarm=alarm[part], active=active[part], spoke=loud[part])
        parts.add(texts[part], what)
        parts = Tally.of(["v"], json.loads(json.dumps(parts.plain())))
        begun += size
    assert parts.incidents() == whole.incidents()
    assert len(whole.incidents()) == sum(alarm)


def test_an_output_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.csv"
    sink = Sink(path, ["v"])
    sink.write(block(["a"]), said([1.0]))
    assert not path.exists()
    sink.finish()
    assert path.read_text().splitlines()[1].startswith("a,")
    assert [one.name for one in path.parent.iterdir()] == ["out.csv"]


def test_what_is_abandoned_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before")
    sink = Sink(path, ["v"])
    sink.write(block(["a"]), said([1.0]))
    sink.abandon()
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


def test_lines_that_were_judged_in_another_order_are_written_in_that_of_the_input(
    tmp_path: Path,
) -> None:
    sink = Sink(tmp_path / "out.csv", ["v"], sort=True)
    sink.write(block(["late", "later"], [4, 5]), said([1.0, 2.0]))
    sink.write(block(["early"], [2]), said([3.0]))
    sink.finish()
    written = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in written] == ["early", "late", "later"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="or choose another --output"):
        Sink(tmp_path / "file" / "out.csv", ["v"])
    with pytest.raises(ConfigError, match="choose another place"):
        write_text(tmp_path / "file" / "s.json", "{}")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "out.csv", ["v"])
    sink._file.close()
    sink._file = Path("/dev/full").open("wb")  # noqa: SIM115 - the sink closes it
    sink.write(block(["a"]), said([1.0]))
    with pytest.raises(ConfigError, match=r"out\.csv: No space left on device; make room"):
        sink.finish()
    sink.abandon()
    assert list(tmp_path.iterdir()) == []
