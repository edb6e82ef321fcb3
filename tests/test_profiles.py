"""What `tests/conftest.py` says of profiles and of markers is so, and the Makefile relies on it."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import FOUND_BY_WORD, overlooked

HERE = Path(__file__).parent


def house(config: pytest.Config) -> Any:
    return config.pluginmanager.get_plugin(str(HERE / "conftest.py"))


def drawn(profile: str, config: pytest.Config) -> list[int]:
    """Return what a test draws that asks for 50 examples."""
    seen: list[int] = []

    @settings(max_examples=50)
    @given(st.integers())
    def wants_fifty(number: int) -> None:
        seen.append(number)

    house(config).limit(profile, [wants_fifty])
    wants_fifty()
    return seen


@pytest.mark.parametrize(("profile", "count"), [("check", 10), ("full", 50), ("explore", 500)])
def test_a_profile_decides_how_many_examples_are_drawn(
    profile: str, count: int, pytestconfig: pytest.Config
) -> None:
    assert len(drawn(profile, pytestconfig)) == count


def test_a_second_run_draws_the_same(pytestconfig: pytest.Config) -> None:
    assert drawn("full", pytestconfig) == drawn("full", pytestconfig)
    assert settings.default is not None
    assert settings.default.derandomize
    assert settings.get_profile("check").derandomize
    assert not settings.get_profile("explore").derandomize


def test_a_marker_that_its_file_does_not_say_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text("pytestmark = pytest.mark.live\n", encoding="utf-8")
    assert overlooked([(path, ["live", "timeout", "asyncio"])]) == []
    (found,) = overlooked([(path, ["live"]), (path, ["alone", "live"]), (path, ["alone"])])
    assert found.endswith("marked `alone` and does not say `mark.alone`")


class Case:
    """A case of a test, as far as its markers go."""

    def __init__(self, nodeid: str, *, every: int | None) -> None:
        self.nodeid, self.added = nodeid, list[str]()
        self._mark = None if every is None else pytest.mark.sampled(every).mark

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        assert name == "sampled"
        return self._mark

    def add_marker(self, name: str) -> None:
        self.added.append(name)


def test_of_sampled_cases_the_first_of_so_many_run_and_none_is_lost(
    pytestconfig: pytest.Config,
) -> None:
    cases = [Case(f"t.py::{name}[{k}]", every=3) for name in ("a", "b") for k in range(5)]
    others = [Case("t.py::c[0]", every=None), Case("t.py::c[1]", every=None)]
    house(pytestconfig).leave_to_long([*cases, *others])
    assert [k for k, one in enumerate(cases) if not one.added] == [0, 3, 5, 8]
    assert all(one.added in ([], ["long"]) for one in cases)
    assert not any(one.added for one in others)


def test_the_whole_test_run_holds_what_the_check_runs() -> None:
    text = (HERE.parent / "Makefile").read_text(encoding="utf-8")
    rules = dict(re.findall(r"^(\w+):.*\n((?:\t.*\n)+)", text, re.MULTILINE))
    assert "quick" in rules["check"]
    assert "computing" in rules["test"]
    (checked,) = re.findall(r'pytest.* -m "(.+)"$', rules["quick"], re.MULTILINE)
    whole = re.findall(r'pytest.* -m "(.+?)"', rules["computing"])
    assert checked == f"{whole[0]} and not slow"


def test_only_tests_that_compute_are_left_out_and_on_request_none() -> None:
    text = (HERE.parent / "Makefile").read_text(encoding="utf-8")
    assert "UNPROVEN := $(if $(ALL),,--only-unproven)\n" in text
    runs = [line for line in text.splitlines() if "pytest" in line and "UNPROVEN)" in line]
    assert len(runs) == 3
    assert all('-m "$(HERE)' in line for line in runs)


def test_what_the_makefile_looks_for_by_word_is_what_is_refused_unsaid() -> None:
    text = (HERE.parent / "Makefile").read_text(encoding="utf-8")
    words = "|".join(re.findall(r"call saying,([\w|]+)", text)).split("|")
    assert set(words) == set(FOUND_BY_WORD)
