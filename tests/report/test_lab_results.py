"""Results survive the way to JSON and back, and what is written fits the published schema."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeostat.report.lab_results import (
    FORMAT,
    Figure,
    Results,
    ResultsError,
    from_json,
    to_json,
    to_plain,
)
from homeostat.report.lab_schema import schema
from homeostat.report.lab_words import METRICS

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "lab-results.schema.json"
CONTRACT = [
    "catastrophic_rate_caused",
    "catastrophic_rate_any",
    "near_miss_rate",
    "mttr_s",
    "mttr_ratio_to_oracle",
    "sla_compliance",
    "uptime",
    "latency_ms",
    "error_rate",
    "time_to_recovery_s",
    "cost_usd_per_hour",
    "cost_saving_vs_hpa",
    "intervention_minutes",
    "risk",
    "share_of_oracle",
    "detection_event_f1",
    "family_accuracy",
    "lead_time_s",
    "breach_brier_skill",
]


def complaints(plain: Any) -> list[str]:
    """Return what a validator that is not ours says against a results file."""
    judge = pytest.importorskip("jsonschema_rs", reason="comes with schemathesis")
    return [error.message for error in judge.validator_for(schema()).iter_errors(plain)]


def test_results_come_back_as_they_were(results: Results) -> None:
    assert from_json(to_json(results)) == results


def test_what_is_written_fits_the_schema(results: Results) -> None:
    assert complaints(json.loads(to_json(results))) == []


def test_the_published_schema_is_the_one_that_the_code_makes() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema()


def test_a_figure_lies_where_the_command_contract_says(results: Results) -> None:
    plain = json.loads(to_json(results))
    of_policy = plain["policies"]["threshold"]
    assert set(of_policy["metrics"]["mttr_s"]) == {"value", "low", "high", "n"}
    assert set(of_policy["scenarios"]["S07"]["metrics"]["mttr_s"]) == {"value", "low", "high", "n"}


def test_every_metric_of_the_command_contract_has_its_words() -> None:
    assert list(METRICS)[: len(CONTRACT)] == CONTRACT
    assert all(metric.means for metric in METRICS.values())


def test_what_was_not_measured_is_null_and_never_zero(results: Results) -> None:
    plain = to_plain(results.policies["hold"].metrics["breach_brier_skill"])
    assert plain == {"value": None, "low": None, "high": None, "n": 0}
    assert to_plain(Figure(value=math.nan, low=-math.inf, high=math.inf, n=3)) == {
        "value": None,
        "low": None,
        "high": None,
        "n": 3,
    }


def _drop(plain: Any) -> None:
    del plain["seeds"]


def _add(plain: Any) -> None:
    plain["policies"]["hold"]["mood"] = "good"


def _text(plain: Any) -> None:
    plain["policies"]["hold"]["metrics"]["mttr_s"]["value"] = "90"


def _bool(plain: Any) -> None:
    plain["policies"]["hold"]["metrics"]["mttr_s"]["n"] = True


@pytest.mark.parametrize(
    ("spoil", "named"),
    [(_drop, "seeds"), (_add, "mood"), (_text, "hold.metrics.mttr_s.value"), (_bool, "mttr_s.n")],
)
def test_a_spoilt_file_is_refused_by_reader_and_schema_alike(
    results: Results, spoil: Callable[[Any], None], named: str
) -> None:
    plain = json.loads(to_json(results))
    spoil(plain)
    with pytest.raises(ResultsError, match=named):
        from_json(json.dumps(plain))
    assert complaints(plain) != []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "homeostat.dev/lab-results/v0"}'])
def test_what_is_no_results_file_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ResultsError, match="results file"):
        from_json(text)


def test_the_format_is_part_of_what_is_written(results: Results) -> None:
    assert json.loads(to_json(replace(results, notes=())))["format"] == FORMAT
