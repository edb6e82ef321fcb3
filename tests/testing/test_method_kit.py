"""Every method that can be found keeps its promises, and the kit sees those that do not."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from homeostat.cli import detect_methods
from homeostat.detect import vae_file
from homeostat.detect.method import Method
from homeostat.detect.method_rows import Rows
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_file import Loaded
from homeostat.detect.vae_model import fit
from homeostat.plugins import part
from homeostat.testing import method as kit
from homeostat.testing import method_run

NAMES = sorted(detect_methods.known())


@cache
def model() -> Loaded:
    """Return an autoencoder of the kit's columns, without training: no JAX, a second at most."""
    config = Config(rounds=0, components=8, latent=4, window=2, spacing=2)
    past = method_run.noise(3000, 1, seed=9)[:, 0]
    fitted = fit(config, past, np.ones(len(past), dtype=bool))
    saved = vae_file.save(fitted, config, [f"column_{k}" for k in range(method_run.COLUMNS)])
    return vae_file.load(saved)


def made(*names: str) -> Callable[[], Method]:
    takes = any(detect_methods.known()[name].name == "vae" for name in names)
    return lambda: detect_methods.made(names, model() if takes else None)


def test_the_methods_of_this_house_are_found() -> None:
    wanted = ["changepoint", "conformal", "ewma", "pca", "recurring", "seasonal", "shesd"]
    assert [*wanted, "spot", "stack", "vae"] == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_method_conforms(name: str) -> None:
    kit.check_method(name, made(name))


@pytest.mark.slow
def test_a_detector_whose_rows_take_turns_is_no_method_as_it_is() -> None:
    found = part("detector", "seasonal")

    def staggered() -> Rows:
        return Rows("seasonal", found.build(found.config()), found.config())

    with pytest.raises(AssertionError, match="or on its place"):
        kit.check_method("seasonal", staggered)


@pytest.mark.slow
def test_several_side_by_side_conform_as_one() -> None:
    kit.check_method("several", made("ewma", "vae"))


class Wrong(Rows):
    """A chart that breaks one promise."""

    def __init__(self, broken: str) -> None:
        found = part("detector", "ewma")
        super().__init__("ewma", found.build(found.config()), found.config())
        self.broken, self.count = broken, 0

    @override
    def step(self, state: Any, values: Any, learn: Any, start: Any = None) -> tuple[Any, Any]:
        """Break it."""
        self.count += 1
        table = np.array(values)
        if self.broken == "neighbours":
            table = table + np.nanmean(np.where(np.isfinite(table), table, np.nan))
        after, said = super().step(state, table, learn, start)
        wrong: dict[str, Any] = {
            "mute": {"alarm": said.alarm & False, "active": said.active & False},
            "again": {"alarm": said.active},
            "guess": {
                "unknown": said.unknown & False,
                "neg_log10_p": np.nan_to_num(said.neg_log10_p),
            },
            "shares": {"contributions": said.contributions * 0.5},
            "score": {"anomaly_score": said.anomaly_score * 0.4},
            "silent": {"spoke": said.spoke & False},
            "type": {"alarm": said.alarm * 1.0},
            "memory": {"neg_log10_p": said.neg_log10_p + self.count % 977},
        }
        return after, said._replace(**wrong.get(self.broken, {}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ("type", "check_it_says_all_there_is"),
        ("memory", "check_state_can_be_kept"),
        ("neighbours", "check_entities_are_apart"),
        ("guess", "check_what_is_not_known_is_unknown"),
        ("mute", "check_a_lasting_shift_is_told_once"),
        ("again", "check_noise_is_healthy|check_a_lasting_shift_is_told_once"),
        ("shares", "check_a_lasting_shift_is_told_once"),
        ("score", "check_the_line_is_a_half"),
        ("silent", "check_an_incident_speaks_where_it_starts"),
    ],
)
def test_a_method_that_breaks_a_promise_is_named_with_it(broken: str, check: str) -> None:
    with pytest.raises(AssertionError, match=check):
        kit.check_method(broken, lambda: Wrong(broken))
