"""Longer prompts are load, sequences put back are batches too large; without tokens neither."""

import pytest
from patient_by_hand import STABLE, Patient

from homeostat.base import names
from homeostat.base.evidence import Family

USUAL = {
    names.KV_USAGE: 0.3,
    names.PREEMPTION_RATIO: 0.0,
    names.PROMPT_TOKENS: 1000.0,
    names.GENERATED_TOKENS: 130.0,
}


def server(**changes: float | None) -> Patient:
    """Return a deployment that serves tokens, all as usual but for the changes."""
    patient = Patient()
    for name, usual in USUAL.items():
        for slot in STABLE:
            patient.usual[f"replica:{slot}", name] = usual
        patient.all(STABLE, name, changes.get(name, usual))
    return patient


def longer(times: float = 3.0, **changes: float | None) -> Patient:
    """Return one whose prompts are longer, so that devices are slow and requests wait."""
    patient = server(**{names.PROMPT_TOKENS: 1000.0 * times, names.KV_USAGE: 1.0} | changes)
    patient.all(STABLE, names.DEVICE_TIME, 100.0).all(STABLE, names.QUEUE_LENGTH, 60.0)
    return patient.gateway(names.LATENCY_P95, 900.0)


def thrash(**changes: float | None) -> Patient:
    """Return one whose device memory is full, so that part of the work is done twice."""
    patient = server(**{names.KV_USAGE: 1.0, names.PREEMPTION_RATIO: 0.4} | changes)
    patient.all(STABLE, names.DEVICE_TIME, 70.0).all(STABLE, names.QUEUE_LENGTH, 60.0)
    return patient.gateway(names.LATENCY_P95, 900.0)


def test_a_server_of_tokens_that_is_well_is_suspected_of_nothing() -> None:
    assert server().diagnosis() == ()
    assert server(**{names.KV_USAGE: 1.0, names.PREEMPTION_RATIO: 0.4}).diagnosis() == ()
    assert server(**{names.PROMPT_TOKENS: 9000.0}).diagnosis() == ()


def test_longer_prompts_under_flat_arrivals_are_load() -> None:
    (found,) = longer().diagnosis()
    assert (found.family, found.subject) == (Family.LOAD, "gateway")
    assert "prompts are 3.0 times as long as usual" in found.because
    assert "100% of the device memory for sequences is in use" in found.because


def test_prompts_a_quarter_longer_are_not_yet_more_demand() -> None:
    assert all("prompts" not in " ".join(one.because) for one in longer(1.25).diagnosis())


def test_fewer_and_longer_requests_may_be_as_much_work_as_before() -> None:
    usual = longer().usual[names.GATEWAY, names.ARRIVAL_RATE]
    fewer = longer().gateway(names.ARRIVAL_RATE, 0.4 * usual)
    assert all("prompts" not in " ".join(one.because) for one in fewer.diagnosis())


def test_answers_that_got_longer_are_the_models_doing_and_no_demand() -> None:
    patient = longer(1.0, **{names.GENERATED_TOKENS: 900.0})
    assert (Family.LOAD, "gateway") not in patient.families()


def test_sequences_put_back_are_batches_that_are_too_large() -> None:
    (found,) = thrash().diagnosis()
    assert (found.family, found.subject) == (Family.BATCHING, "pool:a")
    assert found.because[0] == "40% of the sequences are put back and worked on again"


def test_full_queues_that_keep_the_promise_are_not_yet_too_many_sequences() -> None:
    promised = Patient().managed.objective.latency_p95_ms
    late = thrash().gateway(names.LATENCY_P95, 1.01 * promised)
    assert late.families() == [(Family.BATCHING, "pool:a")]
    met = thrash().gateway(names.LATENCY_P95, 0.99 * promised)
    assert (Family.BATCHING, "pool:a") not in met.families()


def test_longer_prompts_explain_why_sequences_are_put_back() -> None:
    assert longer(**{names.PREEMPTION_RATIO: 0.4}).families() == [(Family.LOAD, "gateway")]


@pytest.mark.parametrize(
    "changes",
    [
        {names.PREEMPTION_RATIO: 0.005},
        {names.PREEMPTION_RATIO: None},
        {names.KV_USAGE: 0.8},
        {names.KV_USAGE: None},
    ],
)
def test_what_is_little_or_not_known_puts_nothing_back(changes: dict[str, float | None]) -> None:
    assert (Family.BATCHING, "pool:a") not in thrash(**changes).families()


def test_a_deployment_without_tokens_is_diagnosed_as_it_was() -> None:
    """The rules look at nothing else: taking the signals away takes the rules away."""
    plain = Patient().all(STABLE, names.DEVICE_TIME, 70.0).all(STABLE, names.QUEUE_LENGTH, 60.0)
    plain.gateway(names.LATENCY_P95, 900.0)
    bare = thrash(**dict.fromkeys(USUAL))
    assert bare.families() == plain.families()
