"""What a server of tokens shows: memory for sequences, what is put back, lengths of requests."""

from typing import Any

import numpy as np
import pytest
from fleet_by_hand import Case, Fault, Played, changed, play

from homeostat.base import names
from homeostat.twin import tokens
from homeostat.twin.params import Params
from homeostat.twin.signals import SLOT_SIGNALS, TOKEN_SIGNALS

SCRAPES = 12
CROWD = Fault(name="arrival_mult", magnitude=6.0)
SMALL = Fault(name="kv_capacity_mult", magnitude=0.2)
AGAIN = Fault(name="recompute_waste", magnitude=0.5)
LONGER = [
    Fault(name="size_mult_prefill", magnitude=4.0),
    Fault(name="size_mult_decode", magnitude=0.5),
]
LISTED = {
    "calm": [],
    "crowd": [CROWD],
    "small": [CROWD, SMALL],
    "thrash": [CROWD, SMALL, AGAIN],
    "longer": LONGER,
    "twice": [
        Fault(name="size_mult_prefill", magnitude=2.0),
        Fault(name="size_mult_decode", magnitude=2.0),
    ],
    "verbose": [Fault(name="output_len_mult", magnitude=3.0, variants=[0])],
    "lost": [Fault(name="metric_drop", magnitude=1.0, signals=["queue"])],
    "late": [*LONGER, Fault(name="metric_delay_s", magnitude=60.0, signals=["queue"])],
    "gone": [Fault(name="replica_kill", slots=[0])],
}


@pytest.fixture(scope="module")
def played(plain: Params) -> Played:
    """Return all cases side by side; the last one's memory limits nothing."""
    limited = changed(plain, service__kv_capacity=20.0, service__recompute_waste=0.0)
    cases = [Case(deployment=limited, faults=listed) for listed in LISTED.values()]
    unlimited = changed(plain, service__kv_capacity=tokens.UNLIMITED)
    return play([*cases, Case(deployment=unlimited, faults=LISTED["thrash"])], SCRAPES)


def shown(played: Played, case: str, name: str, slot: int = 0) -> np.ndarray:
    """Return a signal of one slot, scrape by scrape."""
    told = np.asarray(played.scrape.tokens)
    return told[list(LISTED).index(case), :, slot, TOKEN_SIGNALS.index(name)]


def test_a_deployment_whose_memory_limits_nothing_shows_no_tokens(played: Played) -> None:
    assert np.isnan(np.asarray(played.scrape.tokens)[-1]).all()


def test_the_memory_in_use_is_what_runs_of_what_fits(played: Played) -> None:
    calm, small = (shown(played, case, names.KV_USAGE) for case in ("calm", "small"))
    jobs = np.asarray(played.state.live.slots.jobs)[list(LISTED).index("calm"), :, 0]
    assert 0.0 < jobs[-1] < 16.0
    assert calm == pytest.approx(jobs / 20.0, rel=1e-5)
    assert small[-1] == 1.0  # full, not more than full
    assert calm.max() < 0.5


def test_sequences_are_put_back_only_where_their_work_is_done_again(played: Played) -> None:
    for case in ("calm", "crowd", "small"):
        np.testing.assert_array_equal(shown(played, case, names.PREEMPTION_RATIO), 0.0)
    back = shown(played, "thrash", names.PREEMPTION_RATIO)
    # Of eight that run four fit; half of the rest's work is wasted: w = .5 x 4/8.
    assert back[:2] == pytest.approx(0.0)
    assert back[-1] == pytest.approx(0.25 / 0.75, rel=0.01)


def test_the_state_of_a_sequence_is_the_sum_of_its_parts(played: Played) -> None:
    """Both twice as long is twice as much: of 20 sequences 10 fit, not 5."""
    twice = shown(played, "twice", names.KV_USAGE)
    jobs = np.asarray(played.state.live.slots.jobs)[list(LISTED).index("twice"), :, 0]
    np.testing.assert_allclose(twice[4:], np.minimum(jobs[4:], 8.0) / 10.0, rtol=1e-5)
    assert 0.2 < twice[-1] < 1.0


@pytest.mark.parametrize(
    ("asked", "answered", "state", "work"),
    [
        (1.0, 1.0, 1.0, 1.0),
        (16.0, 4.0, 14.652742, 10.0),
        (4.0, 4.0, 4.0, 4.0),
        (1.0, 0.5, 0.943864, 0.75),
        (0.05, 50.0, 5.658007, 25.025),
    ],
)
def test_parts_of_a_sequence_add_up_and_do_not_multiply(
    asked: float, answered: float, state: float, work: float
) -> None:
    class Lengths:
        def of(self, name: str) -> float:
            return {"size_mult_prefill": asked, "size_mult_decode": answered}[name]

    given: Any = Lengths()
    assert float(tokens.state(given)) == pytest.approx(state, rel=1e-5)
    assert float(tokens.work(given)) == pytest.approx(work, rel=1e-5)


def test_what_is_asked_and_answered_has_its_length_whatever_the_load(played: Played) -> None:
    asked, answered = names.PROMPT_TOKENS, names.GENERATED_TOKENS
    for case, longer, more in (("calm", 1, 1), ("crowd", 1, 1), ("longer", 4, 0.5)):
        found = shown(played, case, asked)[4:], shown(played, case, answered)[4:]
        assert found[0].mean() == pytest.approx(longer * tokens.PROMPT, rel=0.05)
        assert found[1].mean() == pytest.approx(more * tokens.GENERATED, rel=0.05)
    verbose = shown(played, "verbose", answered)[4:].mean()
    assert verbose == pytest.approx(3.0 * tokens.GENERATED, rel=0.05)
    assert shown(played, "verbose", asked)[4:].mean() == pytest.approx(tokens.PROMPT, rel=0.05)


def test_lengths_scatter_as_means_of_so_many_do(played: Played) -> None:
    found = np.log(shown(played, "calm", names.PROMPT_TOKENS))
    assert 0.005 < found.std() < 0.1
    assert len(set(found.tolist())) == SCRAPES


def test_tokens_are_lost_and_late_with_the_rest_of_the_page(played: Played) -> None:
    queue = SLOT_SIGNALS.index(names.QUEUE_LENGTH)
    for name in TOKEN_SIGNALS:
        lost = np.isnan(shown(played, "lost", name))
        page = np.isnan(played.scrape.slot[list(LISTED).index("lost"), :, 0, queue])
        np.testing.assert_array_equal(lost, page)
        assert lost.any()
        assert not lost.all()
    on_time, late = (shown(played, case, names.PROMPT_TOKENS) for case in ("longer", "late"))
    assert on_time[3] > 3.0 * tokens.PROMPT
    assert late[3] < 1.5 * tokens.PROMPT


def test_a_process_that_is_gone_shows_none(played: Played) -> None:
    for name in TOKEN_SIGNALS:
        assert np.isnan(shown(played, "gone", name)[4:]).any(), name
        assert not np.isnan(shown(played, "gone", name, slot=1)).any(), name
