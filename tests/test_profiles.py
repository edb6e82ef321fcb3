"""The hypothesis profiles of `tests/conftest.py` do what they say."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def drawn(profile: str, config: pytest.Config) -> list[int]:
    """Return what a test draws that asks for 50 examples."""
    seen: list[int] = []

    @settings(max_examples=50)
    @given(st.integers())
    def wants_fifty(number: int) -> None:
        seen.append(number)

    house: Any = config.pluginmanager.get_plugin(str(Path(__file__).parent / "conftest.py"))
    house.limit(profile, [wants_fifty])
    wants_fifty()
    return seen


@pytest.mark.parametrize(("profile", "count"), [("check", 20), ("full", 50), ("explore", 500)])
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
