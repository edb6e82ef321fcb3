"""The tuned autoscalers have the settings that the search's record says were best."""

from pathlib import Path

import pytest

from homeostat.lab import tuning
from homeostat.lab.baselines import tuned
from homeostat.lab.policies import make
from homeostat.report.lab_tuning import from_json

RECORD = Path(__file__).parents[2] / "docs" / "reference" / "lab-figures" / "tuning.json"


@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_the_setting_is_the_best_of_the_record_and_was_really_tried(kind: str) -> None:
    record = from_json(RECORD.read_text(encoding="utf-8"))
    setting: tuning.Config = tuned.HPA if kind == "hpa" else tuned.KEDA
    best = record.policies[kind][0]
    assert tuning.words(setting) == best.config
    assert best.value == max(one.value for one in record.policies[kind])
    assert setting in tuning.trials(kind, budget=record.budget)
    assert record.seed_first == tuning.FIRST_SEED


@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_a_tuned_policy_has_its_own_name_beside_the_stock_one(kind: str) -> None:
    assert make(f"{kind}_tuned").name == f"{kind}_tuned"
    assert make(kind).name == kind
