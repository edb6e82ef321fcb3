"""A fit is as old as its data: not as its file, which a copy makes young again."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rehearsed_by_hand import fitted, standing

from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.testing import build
from homeostat.twin import check, fit, fit_file
from homeostat.twin.fit_frame import Frame, NotIdentifiedError, frame, from_csv, joined
from homeostat.twin.fit_values import Fit
from homeostat.twin.fit_window import UNDATED, Window, from_text, spanning, text
from homeostat.twin.rehearse_trust import Standing, age, dated, trust

NOW_S = build.START / SECOND
DAY = 24 * HOUR


def ended(hours_ago: float) -> Fit:
    end = math.floor(NOW_S - 3600.0 * hours_ago)
    return replace(fitted(), window=Window(begins_s=end - 7200.0, ends_s=float(end)))


def stands(oldest_ns: int = DAY) -> Standing:
    return Standing(made_at=build.START, good=True, oldest_ns=oldest_ns)


def reasons(found: Fit, oldest_ns: int = DAY) -> str:
    return " ".join(trust(found, stands(oldest_ns), standing(), at=build.START).reasons)


def recorded(begins_s: float) -> Frame:
    chance = np.random.default_rng(1)
    batch = np.exp(chance.uniform(0.0, np.log(16.0), 60))
    return frame(
        source="metrics.csv",
        sha256="0" * 64,
        time_s=np.asarray(begins_s + 60.0 * np.arange(60), np.float64),
        columns={"batch_size": batch, "service_s": 0.02 + 0.002 * batch, "request_rate": batch},
    )


def test_old_data_in_a_new_file_are_not_trusted() -> None:
    assert "its data are 2.0 days old, the limit is 1.0 days" in reasons(ended(48.0))
    assert reasons(ended(23.9)) == ""
    assert "hours old" in reasons(ended(3.0), 2 * HOUR)


def test_data_from_the_future_are_not_trusted() -> None:
    assert "end 2.0 hours from now" in reasons(ended(-2.0))
    assert reasons(ended(-4 * MINUTE / HOUR)) == ""  # two clocks


def test_a_fit_without_a_date_is_as_old_as_its_file_at_least_and_says_so() -> None:
    later = TimeNs(build.START + 3 * HOUR)
    assert age(fitted(), stands(), later) == 3 * HOUR
    said = dated(fitted(), stands(), later)
    assert "has no date" in said
    assert "3.0 hours old, its data are older" in said


def test_what_a_twin_was_fitted_to_is_said_with_its_age() -> None:
    found = ended(5.0)
    said = dated(found, stands(), build.START)
    assert said.startswith("the twin was fitted to by hand, ")
    assert str(text(found.window.ends_s)) in said
    assert said.endswith(", 5.0 hours ago")
    many = dated(replace(found, source="a.csv, b.csv, c.csv"), stands(), build.START)
    assert "fitted to a.csv and 2 more, " in many


def test_the_date_comes_from_the_recording_through_the_fit_and_its_file() -> None:
    begins = float(math.floor(NOW_S))
    found = fit.fit(recorded(begins))
    again = fit_file.from_plain(json.loads(json.dumps(fit_file.to_plain(found))), "fit.json")
    assert again.window == Window(begins_s=begins, ends_s=begins + 59 * 60.0)


def test_a_file_of_before_fits_had_a_date_is_read_and_has_none() -> None:
    plain = fit_file.to_plain(ended(1.0))
    del plain["input"]["begins"], plain["input"]["ends"]
    assert not fit_file.from_plain(plain, "fit.json").window.is_dated


@pytest.mark.parametrize(
    "written", ["yesterday", "2026-01-02T03:04:05", 12, "0001-01-01T00:00:00Z"]
)
def test_a_date_that_is_none_is_a_damaged_file(written: object) -> None:
    from homeostat.base.errors import ConfigError  # noqa: PLC0415 - the one use

    plain = fit_file.to_plain(ended(1.0))
    plain["input"]["ends"] = written
    with pytest.raises(ConfigError, match="damaged fit file"):
        fit_file.from_plain(plain, "fit.json")


def test_seconds_that_count_from_somewhere_else_are_no_date() -> None:
    assert spanning(0.0, 1e6) == UNDATED
    found = fit.fit(recorded(0.0))
    assert not found.window.is_dated
    assert any("times are no dates" in note for note in found.notes)


def test_recordings_together_are_as_young_as_the_last_and_undated_if_one_is() -> None:
    early, late = recorded(1.7e9), recorded(1.7e9 + 1e6)
    both = joined([late, early]).window
    assert both == Window(begins_s=1.7e9, ends_s=1.7e9 + 1e6 + 59 * 60.0)
    assert not joined([early, recorded(0.0)]).window.is_dated


def test_dates_in_a_csv_are_its_window() -> None:
    rows = "timestamp,queue\n2026-01-02T03:04:05,1\n2026-01-02T03:05:05,2\n"
    assert text(from_csv(rows.encode(), "a.csv").window.ends_s) == "2026-01-02T03:05:05Z"
    assert from_text("2026-01-02T03:05:05Z") == from_csv(rows.encode(), "a.csv").window.ends_s


def test_a_fit_of_too_few_rows_is_said_to_be_one_and_not_the_later_recording() -> None:
    with pytest.raises(NotIdentifiedError, match=r"metrics\.csv: the fit has no errors.*120 rows"):
        check.check(fit.fit(recorded(1.7e9)), recorded(1.7e9 + 1e6))
