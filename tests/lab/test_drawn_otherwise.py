"""Every parameter of the catalogue is drawn as its source says, or its reason is written down."""

from pathlib import Path

import drawn_otherwise as ours
import pytest
import yaml

from homeostat.lab.scenario import Choice, Range
from homeostat.report.lab_figures import spliced

SOURCE = ours.ROOT.parent / "shared/scenarios/scenarios.yaml"


def test_the_copy_of_the_source_says_what_the_source_says() -> None:
    if not SOURCE.exists():
        pytest.skip("the catalogue's source is not beside this checkout (../shared/scenarios)")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load(SOURCE.read_text(encoding="utf-8"), Loader=loader)
    said = {each["id"]: each["params"] for each in found["scenarios"]}
    assert ours.source() == said


def test_what_is_drawn_otherwise_has_a_reason_and_no_reason_is_left_over() -> None:
    assert len(ours.source()) == 43
    assert sorted(ours.REASONS) == sorted((one, name) for one, name, *_ in ours.rows())


def test_a_narrower_range_a_choice_and_a_missing_one_are_each_a_difference() -> None:
    whole = Range(low=0.5, high=10.0)
    assert ours._same([0.5, 10], whole)
    assert not ours._same([0.5, 10], Range(low=2.0, high=10.0))
    assert not ours._same([0.5, 10], Range(low=0.5, high=9.0))
    assert not ours._same([0, 1], Choice(options=(0.0, 1.0)))
    assert not ours._same([0.5, 10], None)
    assert not ours._same(None, whole)
    assert not ours._same(["random", "p2c"], whole)


def test_the_page_lists_them_as_the_command_writes_them() -> None:
    page = Path(ours.PAGE).read_text(encoding="utf-8")
    assert spliced(page, ours.PLACE, ours.table()) == page, (
        "run `python tests/lab/drawn_otherwise.py`"
    )
