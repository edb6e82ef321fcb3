"""The demo's controller: files that the controller takes, secrets that stay secret."""

import socket
from pathlib import Path

import pytest
import yaml

from homeostat.base.actions import ActionKind
from homeostat.base.policy import Mode
from homeostat.base.units import SECOND
from homeostat.demo import setup
from homeostat.demo.faults import FAULTS
from homeostat.demo.place import Place
from homeostat.demo.population import FEATURES
from homeostat.server import config
from homeostat.server.planning import plan_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(folder=tmp_path, host_port=1, envoy_port=2, admin_port=3, relay_port=4)


def documents(place: Place, *, evidence_rules: bool = True) -> list[dict[str, object]]:
    controller = setup.controller(place, 7373, "t" * 43, evidence_rules=evidence_rules)
    return list(yaml.safe_load_all(controller.files[0].read_text(encoding="utf-8")))


@pytest.mark.parametrize("evidence_rules", [True, False])
def test_the_files_that_are_written_are_good_configuration(
    place: Place, *, evidence_rules: bool
) -> None:
    controller = setup.controller(place, 7373, "t" * 43, evidence_rules=evidence_rules)
    plan = plan_of(config.load(controller.files))
    (entry,) = plan.deployments
    managed = entry.managed
    assert (managed.name, managed.mode) == (setup.NAME, Mode.AUTO)
    assert managed.objective == setup.OBJECTIVE
    assert (managed.stable_pool, managed.fallback_pool) == ("a", "b")
    assert managed.guard.evidence_rules is evidence_rules
    assert ActionKind.RESTART_REPLICA in managed.guard.auto_kinds
    assert ActionKind.RESTART_ALL not in managed.guard.auto_kinds
    assert (plan.api_host, plan.api_port) == ("127.0.0.1", 7373)


def test_a_twin_is_asked_for_only_when_it_is_named_and_by_its_own_path(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (without,) = plan_of(
        config.load(setup.controller(place, 7373, "t" * 43, evidence_rules=True).files)
    ).deployments
    assert (without.twin, without.managed.twin) == (None, None)
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    files = setup.TwinFiles(fit=Path("fit.json"), check=Path("check.json"))
    written = setup.controller(place, 7373, "t" * 43, evidence_rules=True, twin=files)
    (entry,) = plan_of(config.load(written.files)).deployments
    assert entry.twin is not None
    assert (entry.twin.fit, entry.twin.check) == (here / "fit.json", here / "check.json")
    assert entry.managed.twin is not None
    # A question that nobody answers must not keep a heal waiting beyond its goal.
    assert entry.managed.twin.deadline_ns <= 3 * SECOND
    assert ("provision_s", 0.0, 1.0) in entry.twin.assume


def test_a_drift_may_be_trained_for_where_a_trainer_is_and_two_people_say_so(
    place: Place,
) -> None:
    (without,) = plan_of(
        config.load(setup.controller(place, 7373, "t" * 43, evidence_rules=True).files)
    ).deployments
    assert (without.managed.training, without.trainer) == (None, None)
    place.trains, place.trainer_port = True, 5
    plan = plan_of(config.load(setup.controller(place, 7373, "t" * 43, evidence_rules=True).files))
    (entry,) = plan.deployments
    training, canary = entry.managed.training, entry.managed.canary
    assert training is not None
    assert canary is not None
    assert training.window_ns == 12 * SECOND
    assert training.within_ns <= 300 * SECOND
    assert (canary.certify_answers, canary.certify_failures) == (True, False)
    assert ActionKind.RETRAIN not in entry.managed.guard.auto_kinds
    # Its own people: not those of whoever starts the demo.
    assert plan.people_file == place.folder / "people.json"
    assert not plan.people_file.exists(), "nobody is in it before the first question"


def test_the_policy_is_the_shipped_one(place: Place) -> None:
    assert setup.policy_file().parts[-3:] == ("examples", "policies", "demo.yaml")
    controller = setup.controller(place, 7373, "t" * 43, evidence_rules=True)
    assert setup.policy_file() in controller.files


def test_the_token_is_in_a_file_that_only_its_owner_reads_and_nowhere_else(place: Place) -> None:
    token = "secret" * 8
    controller = setup.controller(place, 7373, token, evidence_rules=True)
    assert (place.folder / "token").read_text(encoding="utf-8").strip() == token
    assert (place.folder / "token").stat().st_mode & 0o777 == 0o600
    assert token not in controller.files[0].read_text(encoding="utf-8")


def test_the_canned_inference_has_the_models_width(place: Place) -> None:
    spec = documents(place)[0]["spec"]
    assert isinstance(spec, dict)
    assert len(spec["probe"]["features"]) == len(FEATURES)


def test_the_controller_is_told_nothing_of_faults(place: Place) -> None:
    text = "".join(
        file.read_text(encoding="utf-8")
        for file in setup.controller(place, 7373, "t" * 43, evidence_rules=True).files
    )
    for word in (*FAULTS, "chaos", "v3-", "seed", place.chaos_token):
        assert word not in text, word


def test_the_console_is_on_7373_unless_somebody_has_it() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", setup.CONSOLE_PORT))
        except OSError:
            pass  # somebody else has it, which is as good
        else:
            taken.listen()
        port, token = setup.api_access()
    assert port not in {0, setup.CONSOLE_PORT}
    assert len(token) >= 43
    assert setup.api_access()[1] != token


def test_the_banner_says_where_everything_is_and_what_was_granted(place: Place) -> None:
    banner = setup.banner(place, 7400, "t" * 43)
    assert banner["console"] == "http://127.0.0.1:7400"
    assert banner["gateway"] == place.gateway_url
    assert "t" * 43 in banner["token"]
    assert str(place.folder / "token") in banner["token"]
    assert "cooldown" in banner["policy"]
    assert "restart_replica" in banner["granted"]


def test_the_banner_says_how_to_ask_a_controller_that_is_not_where_commands_look(
    place: Place,
) -> None:
    usual = setup.banner(place, setup.CONSOLE_PORT, "t" * 43)
    assert usual["ask"] == "homeostat get decisions"
    other = setup.banner(place, 7400, "t" * 43)
    assert other["ask"] == "homeostat get decisions --url http://127.0.0.1:7400"


def test_a_controller_that_learnt_nothing_is_reported_with_its_last_words(place: Place) -> None:
    (place.folder / "controller.log").write_text("first\nno journal\n", encoding="utf-8")
    assert "no journal" in str(setup.not_ready(place))
    (place.folder / "controller.log").unlink()
    assert "controller.log" in str(setup.not_ready(place))
