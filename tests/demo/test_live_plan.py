"""Scenario files for the local deployment: what comes across, and what is refused and how."""

from pathlib import Path

import pytest

from homeostat.demo import live_plan
from homeostat.demo.artefact import DEVICE_TIME_FACTOR, FAILURE_RATIO
from homeostat.demo.faults import FAULTS
from homeostat.lab.scenario_errors import ScenarioError

FOLDER = Path(live_plan.__file__).parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

SLOW = """\
id: U1
name: mine
family: infrastructure
summary: One replica is slow.
length_s: 600
onset:
  shape: step
  start_s: 40
  duration_s: until_fixed
faults:
  - primitive: contention
    magnitude: 8
    target: one_replica
    cure: restart
"""


def refused(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        live_plan.scenarios(text.encode(), "mine.yaml")
    return str(caught.value)


def line_of(text: str, start: str) -> int:
    """Return the last line that starts so: of the fault, where its scenario says the same key."""
    lines = enumerate(text.splitlines(), 1)
    return max(number for number, line in lines if line.strip().startswith(start))


def test_a_file_that_can_be_done_is_accepted() -> None:
    (found,) = live_plan.scenarios(SLOW.encode(), "mine.yaml")
    assert live_plan.way_of(found).fault == "slow_replica"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_file_is_named_after_the_fault_of_the_demo_that_it_does(file: Path) -> None:
    (found,) = live_plan.scenarios(file.read_bytes(), file.name)
    assert found.name == file.stem == live_plan.way_of(found).fault
    assert FAULTS[file.stem].expected == "recovered"


def test_six_faults_and_more_have_a_file_and_no_two_one_id() -> None:
    found = [one for file in FILES for one in live_plan.scenarios(file.read_bytes(), file.name)]
    assert len({one.id for one in found}) == len(found) >= 6
    assert {live_plan.way_of(one).fault for one in found} == {
        way.fault for way in live_plan.WAYS.values()
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("primitive: contention", "primitive: service_cv2_mult", "- primitive", "cannot be done"),
        ("target: one_replica", "target: all_replicas", "target", "target: one_replica"),
        ("magnitude: 8", "magnitude: [8, 20]\n    share: 0.5", "share", "remove 'share'"),
        ("magnitude: 8", "magnitude: [0.5, 8]", "magnitude", "write magnitude: 1 to 1000"),
        ("cure: restart", "cure: rollback", "cure", "write cure: restart"),
        ("shape: step", "shape: ramp\n  ramp_s: 10", "shape", "write shape: step"),
        ("start_s: 40", "start_s: 5", "start_s", "after 20 s"),
        ("start_s: 40", "start_s: [40, 400]", "start_s", "longer than 300 s"),
        ("duration_s: until_fixed", "duration_s: 60", "duration_s", "lasts until_fixed"),
        ("length_s: 600", "length_s: 600\ndeployment: {replicas: 5}", "deployment", "remove it"),
        ("length_s: 600", "length_s: 600\nload: {profile: flat}", "load", "has its own"),
        ("cure: restart", "cure: restart\n    onset: {delay_s: 5}", "onset", "move it"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_line_and_what_can(
    old: str, new: str, line: str, says: str
) -> None:
    text = SLOW.replace(old, new)
    said = refused(text)
    assert said.startswith(f"mine.yaml:{line_of(text, line)}: U1: "), said
    assert says in said


def test_only_the_releases_that_there_are_can_be_rolled_out() -> None:
    for primitive, size in (
        ("variant_err_prob", FAILURE_RATIO),
        ("variant_service_mult", DEVICE_TIME_FACTOR),
    ):
        text = SLOW.replace("contention", primitive).replace("one_replica", "new_version")
        text = text.replace("cure: restart", "cure: rollback")
        fits = text.replace("magnitude: 8", f"magnitude: {size}")
        assert len(live_plan.scenarios(fits.encode(), "mine.yaml")) == 1
        said = refused(text.replace("magnitude: 8", f"magnitude: {size / 2}"))
        assert f"write magnitude: {size:g}" in said


def test_two_faults_at_once_and_ambient_ones_are_refused() -> None:
    two = SLOW + "  - {primitive: replica_hang, magnitude: 1, target: one_replica, cure: restart}\n"
    assert "one at a time" in refused(two)
    stale = SLOW + "  - {primitive: endpoint_stale_s, magnitude: 90}\n"
    stale = stale.replace("contention", "replica_kill").replace("magnitude: 8", "magnitude: 1")
    assert len(live_plan.scenarios(stale.encode(), "mine.yaml")) == 1
    assert "write magnitude: 60, or more" in refused(stale.replace("90", "9"))
    ambient = SLOW + "  - {primitive: client_retry, magnitude: 2, ambient: true}\n"
    assert "own settings" in refused(ambient)


def test_a_crowd_needs_an_end_and_a_rate_that_the_generator_can_send() -> None:
    crowd = SLOW.replace("contention", "arrival_mult").replace("one_replica", "deployment")
    crowd = crowd.replace("cure: restart", "cure: none")
    assert "lasts so many seconds" in refused(crowd)
    ending = crowd.replace("until_fixed", "60")
    assert len(live_plan.scenarios(ending.encode(), "mine.yaml")) == 1
    assert "2000 requests/s" in refused(ending.replace("magnitude: 8", "magnitude: 50"))


def test_several_scenarios_of_one_file_are_each_held_to_it() -> None:
    second = "    ".join(
        SLOW.replace("U1", "U2").replace("contention", "service_cv2_mult").splitlines(True)
    )
    first = "    ".join(SLOW.splitlines(True))
    text = f"scenarios:\n  - {first}  - {second}"
    said = refused(text)
    assert ": U2: service_cv2_mult" in said
