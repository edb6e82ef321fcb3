"""The `feedback` section: what it comes to, what it refuses, and what holds without it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.base.feedback import FeedbackMode, FeedbackPolicy
from homeostat.base.units import HOUR
from homeostat.server.config.feedbacks import FeedbackSpec, policy
from homeostat.server.config.loader import load

MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {{name: fraud}}
spec:
  interval: 1s
  target: {{process: {{host: "http://127.0.0.1:1"}}}}
  metrics: {{scrape: [{{fromReplicas: true, preset: homeostat_instrument}}]}}
  slo:
    - {{name: latency, latency: {{below: 250ms}}}}
    - {{name: errors, errors: {{atMost: 1%}}}}
{more}
"""


def read(folder: Path, more: str) -> FeedbackPolicy | None:
    file = folder / "model.yaml"
    file.write_text(MODEL.format(more=more))
    return load([file]).managed()[0].feedback


def test_without_the_section_the_defaults_are_in_force(tmp_path: Path) -> None:
    assert read(tmp_path, "") == FeedbackPolicy()


def test_what_is_said_is_what_the_core_sees(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "  feedback: {mode: off, falseAlarmsPerDay: 0.5, words: 4, loudest: 80%, keep: 48h}",
    )
    assert found is not None
    assert (found.mode, found.per_day, found.words) == (FeedbackMode.OFF, 0.5, 4)
    assert (found.loudest, found.keep_ns) == (0.8, 48 * HOUR)


@pytest.mark.parametrize(
    "said",
    [
        {"falseAlarmsPerDay": 0.0},
        {"falseAlarmsPerDay": float("inf")},
        {"sure": 0.5},
        {"sure": 1.0},
        {"words": 1},  # one answer in twenty is a slip
        {"words": 2.5},
        {"loudest": 0.0},
        {"loudest": 1.5},
        {"faintest": 0.01},
        {"keep": "0s"},
        {"answerWithin": "1000000h"},
        {"mode": "maybe"},
        {"thresholds": 3},
    ],
)
def test_a_bound_that_is_none_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as found:
        FeedbackSpec.model_validate(said)
    assert next(iter(said)) in str(found.value)


def test_the_defaults_of_the_file_are_those_of_the_core() -> None:
    assert policy(FeedbackSpec()) == FeedbackPolicy()
