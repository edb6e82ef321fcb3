"""The `detection` section: the budget arrives at the score; without it nothing moves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.base.errors import ConfigError
from homeostat.detect import fused, vae_file
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import fit
from homeostat.server import encoders, wiring
from homeostat.server.config.loader import load
from homeostat.server.planning import needs_restart, plan_of

FILES = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {{name: fraud}}
spec:
  interval: 5s
  target: {{process: {{host: "http://127.0.0.1:1"}}}}
  metrics: {{scrape: [{{fromReplicas: true, preset: homeostat_instrument}}]}}
  slo:
    - {{name: latency, latency: {{below: 250ms}}}}
    - {{name: errors, errors: {{atMost: 1%}}}}
---
apiVersion: homeostat.dev/v1alpha1
kind: Controller
metadata: {{name: main}}
spec: {spec}
"""


def planned(folder: Path, spec: str) -> Any:
    file = folder / "all.yaml"
    file.write_text(FILES.format(spec=spec), encoding="utf-8")
    return plan_of(load([file]))


def score(plan: Any) -> fused.Config:
    parts = wiring.sense_step(plan)[0].args[0]  # type: ignore[attr-defined]
    config: fused.Config = parts.fused.config
    return config


def fleet_of(plan: Any) -> Any:
    return wiring.sense_step(plan)[0].args[0].fleetwide  # type: ignore[attr-defined]


def test_the_budget_and_the_shortest_interval_arrive_half_at_the_score_half_at_the_fleets_tests(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, "{detection: {falseIncidents: 0.5}}")
    assert (score(plan).false_incidents, score(plan).tick_s) == (0.25, 5.0)
    tests = fleet_of(plan).config
    assert (tests.false_incidents, tests.tick_s, tests.told.rate) == (0.25, 5.0, 0.05)
    before = planned(tmp_path, "{}")
    assert needs_restart(before, plan) == [
        "the controller's own settings (store, API, kill file, notifiers) differ"
    ]


def test_a_false_share_runs_the_fleets_tests_and_moves_no_onset(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{detection: {falseShare: 0.1}}")
    assert score(plan).false_incidents is None
    tests = fleet_of(plan).config
    assert (tests.false_incidents, tests.told.rate) == (None, 0.1)
    both = fleet_of(planned(tmp_path, "{detection: {falseShare: 0.2, falseIncidents: 2}}")).config
    assert (both.false_incidents, both.told.rate) == (1.0, 0.2)
    assert fleet_of(planned(tmp_path, "{}")) is None
    assert needs_restart(planned(tmp_path, "{}"), plan) == [
        "the controller's own settings (store, API, kill file, notifiers) differ"
    ]


@pytest.mark.parametrize("said", ["0", "1", "-0.1", ".nan", "5%", "many"])
def test_a_false_share_that_promises_nothing_is_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(ConfigError, match=r"falseShare"):
        planned(tmp_path, f"{{detection: {{falseShare: {said}}}}}")


def test_without_the_section_an_onset_begins_where_it_did(tmp_path: Path) -> None:
    found = score(planned(tmp_path, "{}"))
    assert found.false_incidents is None
    assert found.incident == fused.Config().incident
    assert found.incident.start == 2.6


@pytest.mark.parametrize("said", ["0", "-1", "501", ".nan", ".inf", "many", "null"])
def test_a_budget_that_nobody_can_keep_is_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(ConfigError, match=r"falseIncidents"):
        planned(tmp_path, f"{{detection: {{falseIncidents: {said}}}}}")


def test_a_section_that_says_nothing_or_more_than_is_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"falseIncidents"):
        planned(tmp_path, "{detection: {}}")
    with pytest.raises(ConfigError, match="perDay"):
        planned(tmp_path, "{detection: {falseIncidents: 1, perDay: 1}}")


def test_a_model_is_for_a_deployment_that_is_there_and_from_the_folder_of_the_document(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, "{detection: {autoencoders: {fraud: models/f.safetensors}}}")
    assert plan.autoencoders == (("fraud", tmp_path / "models" / "f.safetensors"),)
    assert score(planned(tmp_path, "{}")).false_incidents is None
    assert planned(tmp_path, "{}").autoencoders == ()
    with pytest.raises(ConfigError, match=r"autoencoders\.scam: .* \(there are: fraud\)"):
        planned(tmp_path, "{detection: {autoencoders: {scam: m}}}")
    for wrong in ("{fraud: 3}", "[fraud]", "{Fraud_1: m}"):
        with pytest.raises(ConfigError, match="autoencoders"):
            planned(tmp_path, f"{{detection: {{autoencoders: {wrong}}}}}")


def test_a_model_that_cannot_be_used_stops_the_start_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"autoencoders\.fraud: .*m: m: No such file"):
        encoders.models({"fraud": tmp_path / "m"})
    (tmp_path / "m").write_bytes(b"no model")
    (tmp_path / "m.json").write_bytes(b"{}")
    with pytest.raises(ConfigError, match=r"autoencoders\.fraud: .*autoencoder refused"):
        encoders.models({"fraud": tmp_path / "m"})


def test_a_model_arrives_in_the_loop_and_without_one_there_is_no_autoencoder(
    tmp_path: Path,
) -> None:
    config = Config(rounds=0, components=4, latent=2, window=2, spacing=2)
    past = np.random.default_rng(1).standard_normal((900, 2))
    columns = ("gateway arrival_rate", "gateway latency_p95_ms")
    saved = vae_file.save(fit(config, past, np.ones(900, dtype=bool)), config, columns)
    (tmp_path / "m").write_bytes(saved.weights)
    (tmp_path / "m.json").write_bytes(saved.manifest)
    plan = planned(tmp_path, "{detection: {autoencoders: {fraud: m}}}")
    parts = wiring.sense_step(plan)[0].args[0]  # type: ignore[attr-defined]
    assert parts.encoded.models["fraud"].columns == columns
    without = wiring.sense_step(planned(tmp_path, "{}"))[0].args[0]  # type: ignore[attr-defined]
    assert without.encoded is None
    assert needs_restart(planned(tmp_path, "{}"), plan) == [
        "the controller's own settings (store, API, kill file, notifiers) differ"
    ]
