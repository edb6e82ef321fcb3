"""The page of one recording: self-contained, escaped, and true to what was found."""

from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from homeostat.report.detect_course import Course, Rows
from homeostat.report.detect_page import SHOWN, page, picture


def drawn(columns: list[str], values: np.ndarray) -> Course:
    made = Course(columns)
    count = len(values)
    made.add(
        Rows(
            texts=[f"t{k}" for k in range(count)],
            values=values,
            low=values - 1.0,
            high=values + 1.0,
            evidence=np.arange(count).astype(float),
            shares=np.tile(np.arange(len(columns)).astype(float), (count, 1)),
            alarm=np.arange(count) == 3,
            active=(np.arange(count) >= 3) & (np.arange(count) < 6),
        )
    )
    return made


def summary(**other: Any) -> dict[str, Any]:
    incident = {
        "start": "t3", "end": "t5", "last_evidence": "t4", "rows": 3, "anomaly_score": 0.75,
        "neg_log10_p": 5.0,
        "columns": [{"name": "<b>", "share": 1.0}],
    }  # fmt: skip
    return {
        "input": "in/<i>.csv", "rows": 10, "unknown": 2, "first": "t0", "last": "t9",
        "incidents": [incident], "quality": {"notes": ["a < b"]},
    } | other  # fmt: skip


def test_the_page_holds_no_script_no_address_and_escapes_every_name() -> None:
    text = page(summary(), drawn(["<b>"], np.ones((10, 1))), "1")
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<i>" not in text
    assert "<b>" not in text
    assert "&lt;i&gt;.csv" in text
    assert "a &lt; b" in text
    assert "1 incident, 2 rows" in text
    assert "<td>t4</td><td>t5</td>" in text.replace("\n", "")


def test_the_picture_is_well_formed_and_marks_where_the_incident_is() -> None:
    cells = drawn(["cpu"], np.arange(10.0)[:, None]).cells()
    assert cells is not None
    root = ET.fromstring(picture("x", cells, ["cpu"]))
    shades = [one for one in root.iter() if one.get("class") == "fault"]
    alarms = [one for one in root.iter() if one.get("class") == "alarm"]
    assert len(shades) == len(alarms) == 1
    left, width = float(shades[0].get("x", 0)), float(shades[0].get("width", 0))
    assert left < float(alarms[0].get("x1", 0)) < left + width / 3
    (band,) = [one for one in root.iter() if one.get("class") == "is-band"]
    assert band.get("d", "").count("M") == 1


def test_the_evidence_is_called_a_rank_and_a_line_is_where_an_incident_starts() -> None:
    """-log10 p was on the axis, which the how-to says it is not."""
    text = page(summary(starts_at=4.5), drawn(["cpu"], np.ones((10, 1))), "1")
    assert "evidence: a rank (neg_log10_p)" in text
    assert "evidence (-log10 p)" not in text
    assert "The dashed line is the evidence at which an incident starts, 4.5;" in text
    cells = drawn(["cpu"], np.ones((10, 1))).cells()
    assert cells is not None
    root = ET.fromstring(picture("x", cells, ["cpu"], 4.5))
    (line,) = [one for one in root.iter() if one.get("class") == "is-level"]
    # Evidence goes from 0 at 140 to 9 and a margin of a twentieth at 30.
    assert float(line.get("y1", 0)) == pytest.approx(140.0 - 110.0 * 4.5 / 9.45, abs=0.1)
    assert "is-level" not in picture("x", cells, ["cpu"])


def test_of_many_columns_those_with_most_of_the_evidence_are_drawn() -> None:
    names = [f"c{k}" for k in range(SHOWN + 5)]
    course = drawn(names, np.ones((10, len(names))))
    text = page(summary(), course, "1")
    assert "5 columns with less of the evidence are not drawn" in text
    assert f">c{SHOWN + 4}</text>" in text
    assert ">c0</text>" not in text


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e300, -1e-300])
def test_whatever_the_values_are_there_is_a_picture(value: float) -> None:
    cells = drawn(["x"], np.full((10, 1), value)).cells()
    assert cells is not None
    text = picture("x", cells, ["x"])
    ET.fromstring(text)
    assert "nan" not in text
    assert "inf" not in text


def test_rows_of_an_earlier_run_are_told_and_nothing_at_all_is_too() -> None:
    text = page(summary(rows=30, incidents=[]), drawn(["x"], np.ones((10, 1))), "1")
    assert "The first 20 rows were judged by an earlier run" in text
    assert "There was none." in text
    assert "There is no row to draw." in page(summary(), Course(["x"]), "1")
