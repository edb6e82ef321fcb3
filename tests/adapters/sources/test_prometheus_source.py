"""A Prometheus as a source: one query a round, sums that never jump, and gaps that stay gaps."""

import math
from typing import Any

import pytest
from prometheus_fake import ENOUGH_S, T0, Points, asked, steps
from pydantic import ValidationError

from homeostat.adapters.sources.prometheus_source import PrometheusSettings, build
from homeostat.base import names, raw
from homeostat.base.evidence import Observation, Quality
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.source import check_source

LIVES = {"vllm:num_requests_running": steps([1.0] * 8)}
ARRIVED, OK, FAILED = raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX
WORK = 'http_requests_total{handler="/v1/completions",status="2xx"}'
BROKEN = 'http_requests_total{handler="/v1/completions",status="5xx"}'


async def test_one_query_a_round_names_all_metrics_and_the_selection() -> None:
    async with asked(LIVES, select=(("job", "llm"), ("pod", "~credit-.*"))) as (database, ask):
        await ask.values(30.0)
        await ask.values(45.0)
    assert len(database.queries) == 2
    query = database.queries[0]
    assert b"%5B75s%5D&time=1800000030.000" in query
    assert b"up%7Cvllm%3Ae2e_request_latency_seconds_bucket" in query
    assert b"job%3D%22llm%22%2Cpod%3D~%22credit-.%2A%22" in query


async def test_a_counter_is_told_as_what_it_gained_and_a_restart_loses_nothing() -> None:
    held = LIVES | {WORK: steps([100, 110, 130, 4, 9])}
    async with asked(held) as (_, ask):
        told = [(await ask.values(at))["model", ARRIVED] for at in (0.0, 15.0, 60.0)]
    assert told == [0.0, 10.0, 10.0 + 20.0 + 4.0 + 5.0]


async def test_a_sum_neither_falls_when_a_process_ends_nor_jumps_when_one_joins() -> None:
    old = 'http_requests_total{handler="/v1/a",status="2xx",instance="old:1"}'
    new = 'http_requests_total{handler="/v1/a",status="2xx",instance="new:1"}'
    held = LIVES | {
        old: steps([5000, 5010, 5020]),
        new: steps([700, 703, 706], start=45.0),
        WORK: steps([1] * 8),
    }
    async with asked(held) as (_, ask):
        told = [(await ask.values(at))["model", ARRIVED] for at in (15.0, 30.0, 45.0, 60.0, 105.0)]
    assert told == [0.0, 10.0, 10.0, 13.0, 16.0]


async def test_the_first_failure_counts_because_its_target_was_watched_before() -> None:
    held = LIVES | {WORK: steps([10] * 6), BROKEN: steps([3, 5], start=30.0)}
    async with asked(held) as (_, ask):
        assert (await ask.values(15.0))["model", FAILED] == 0.0  # the server lives: a true zero
        assert (await ask.values(45.0))["model", FAILED] == 5.0


async def test_series_that_change_their_names_are_strangers_and_gain_nothing_at_first() -> None:
    """All labels of a target changed at once: its totals are old news, not a flood of requests."""
    renamed = 'http_requests_total{handler="/v1/completions",status="2xx",team="x"}'
    lives = 'vllm:num_requests_running{team="x"}'
    held = {
        "vllm:num_requests_running": steps([1, 1]),
        WORK: steps([1e6, 1e6 + 1]),
        renamed: steps([1e6 + 2, 1e6 + 3], start=30.0),
        lives: steps([1, 1], start=30.0),
    }
    async with asked(held) as (_, ask):
        await ask.values(15.0)
        assert (await ask.values(30.0))["model", ARRIVED] == 0.0
        assert (await ask.values(45.0))["model", ARRIVED] == 1.0


async def test_a_process_younger_than_the_last_look_began_at_zero() -> None:
    new = 'http_requests_total{handler="/v1/a",status="2xx",instance="new:1"}'
    began = 'process_start_time_seconds{instance="new:1"}'
    held = LIVES | {new: steps([40, 44], start=45.0), began: steps([T0 + 35] * 2, start=45.0)}
    async with asked(held) as (_, ask):
        await ask.values(30.0)
        assert (await ask.values(45.0))["model", ARRIVED] == 40.0


async def test_each_value_carries_the_time_of_its_own_sample() -> None:
    async with asked({"vllm:num_requests_running": [(3.25, 1.0), (18.5, 2.0)]}) as (_, ask):
        report = await ask.at(20.0)
    seen = {one.key.signal: one for one in report.observations}[raw.INFLIGHT]
    assert seen.value == 2.0
    assert seen.observed_at == round((T0 + 18.5) * SECOND)


async def test_an_old_sample_stays_old_and_one_that_left_the_window_is_missing() -> None:
    async with asked({"vllm:num_requests_running": steps([1.0, 1.0])}) as (_, ask):
        old = await ask.at(75.0)
        gone = await ask.at(95.0)
    assert {one.observed_at for one in old.observations} == {round((T0 + 15.0) * SECOND)}
    assert gone.quality is Quality.MISSING
    assert 'no live series of vllm is selected by {job="llm"}' in gone.detail
    assert gone.observations == ()
    assert gone.subjects == ("model",)


async def test_gauges_of_many_engines_are_summed_or_the_fullest_is_taken() -> None:
    two = 'instance="two:1"'
    held = {
        "vllm:num_requests_running": steps([1] * 3),
        f"vllm:num_requests_running{{{two}}}": steps([4] * 3),
        "vllm:kv_cache_usage_perc": steps([0.2] * 3),
        f"vllm:kv_cache_usage_perc{{{two}}}": steps([0.9] * 3),
    }
    async with asked(held) as (_, ask):
        told = await ask.values(30.0)
    assert told["model", raw.INFLIGHT] == 5.0
    assert told["model", raw.KV_USAGE] == 0.9


async def test_ranks_of_one_engine_are_not_counted_twice() -> None:
    held = {
        f'sglang:num_queue_reqs{{tp_rank="{rank}",instance="{instance}"}}': steps([value] * 3)
        for rank in range(2)
        for instance, value in (("a:1", 7), ("b:1", 2))
    }
    async with asked(held, presets=("sglang",)) as (_, ask):
        assert (await ask.values(30.0))["model", raw.QUEUE] == 9.0


async def test_while_a_target_is_down_sums_that_would_look_small_are_unknown() -> None:
    two = 'instance="two:1"'
    held: dict[str, Any] = {
        "up": steps([1] * 8),
        f"up{{{two}}}": steps([1, 1, 0, 0, 0, 0, 1, 1]),
        "vllm:num_requests_running": steps([3] * 8),
        f"vllm:num_requests_running{{{two}}}": [(0, 4), (15, 4), (90, 4), (105, 4)],
        WORK: steps([10 * n for n in range(8)]),
        "vllm:kv_cache_usage_perc": steps([0.5] * 8),
    }
    async with asked(held) as (_, ask):
        before, during = await ask.values(15.0), await ask.values(75.0)
        after = await ask.values(105.0)
    assert before["model", raw.INFLIGHT] == 7.0
    assert ("model", raw.INFLIGHT) not in during
    assert ("model", ARRIVED) not in during
    assert during["model", OK] == 50.0 - 10.0  # a ratio of what was answered stays
    assert during["model", raw.KV_USAGE] == 0.5
    assert after["model", raw.INFLIGHT] == 7.0
    assert after["model", ARRIVED] == 60.0


async def test_replicas_are_told_apart_by_their_label_and_a_silent_one_stays_on_the_list() -> None:
    held = {
        'vllm:num_requests_running{pod="a-1",instance="a"}': steps([1] * 8),
        'vllm:num_requests_running{pod="a-2",instance="b"}': steps([2] * 2),
        "vllm:num_requests_running": steps([9] * 8),  # names no pod, and nobody else is asked for
    }
    async with asked(held, subject="", replica_label="pod") as (_, ask):
        told = await ask.values(15.0)
        report = await ask.at(105.0)
    assert told == {("replica:a-1", raw.INFLIGHT): 1.0, ("replica:a-2", raw.INFLIGHT): 2.0} | {
        key: 0.0 for key in told if key[1] in {ARRIVED, OK, FAILED}
    }
    assert {one.key.subject for one in report.observations} == {"replica:a-1"}
    assert report.subjects == ("model", "replica:a-1", "replica:a-2")


async def test_a_replica_that_was_silent_for_an_hour_is_forgotten() -> None:
    """Pods get new names at every rollout, and a controller runs for months."""
    later = 3600.0
    held: dict[str, Any] = {
        'vllm:num_requests_running{pod="old"}': steps([1] * 2),
        'vllm:num_requests_running{pod="new"}': [(at, 1.0) for at in (15.0, later, later + 30)],
    }
    async with asked(held, subject="", replica_label="pod") as (_, ask):
        told = [(await ask.at(at)).subjects for at in (15.0, later, later + 30)]
    both = ("model", "replica:new", "replica:old")
    assert told == [both, both, ("model", "replica:new")]


async def test_a_replicas_restart_moves_its_epoch_and_nobody_elses() -> None:
    held = {
        WORK.replace("}", f',pod="{pod}",instance="{pod}"}}'): steps(values)
        for pod, values in (("a-1", [5, 6, 1, 2]), ("a-2", [5, 6, 7, 8]))
    } | {
        f'process_start_time_seconds{{pod="{pod}",instance="{pod}"}}': steps(values)
        for pod, values in (("a-1", [T0 - 9, T0 - 9, T0 + 20, T0 + 20]), ("a-2", [T0 - 9] * 4))
    }
    async with asked(held, subject="", replica_label="pod") as (_, ask):
        first = {(o.key.subject): o.epoch for o in (await ask.at(15.0)).observations if o.epoch}
        then = {(o.key.subject): o.epoch for o in (await ask.at(45.0)).observations if o.epoch}
    assert set(first.values()) == {T0 + 15.0}
    assert then == {"replica:a-1": T0 + 20.0, "replica:a-2": T0 + 15.0}


async def test_the_first_layer_that_has_a_signal_keeps_it() -> None:
    """Its counters and another's are different counters: changing over would look like a jump."""
    envoy = "envoy_http_downstream_rq_total"
    held = LIVES | {WORK: steps([10, 20]), envoy: steps([1000 + n for n in range(8)])}
    async with asked(held, presets=("vllm", "envoy")) as (_, ask):
        told = [(await ask.values(at)).get(("model", ARRIVED)) for at in (0.0, 15.0, 105.0)]
        report = await ask.at(105.0)
    assert told == [0.0, 10.0, None]  # vLLM's counter is gone: nobody knows, least of all Envoy
    assert "by vllm" in report.detail


async def test_presets_are_chosen_by_what_is_there_once() -> None:
    latency = 'vllm:e2e_request_latency_seconds_bucket{le="0.3"}'
    async with asked(LIVES | {latency: steps([0] * 8)}, presets=()) as (database, ask):
        await ask.values(15.0)
        await ask.values(30.0)
    assert [b"__name__/values" in query for query in database.queries] == [True, False, False]


async def test_presets_that_are_chosen_anew_count_anew_and_say_so_by_their_epoch() -> None:
    latency = 'vllm:e2e_request_latency_seconds_bucket{le="0.3"}'
    gap = [(0.0, 5.0), (15.0, 9.0), (150.0, 20.0), (165.0, 21.0)]
    held = {latency: gap, "vllm:num_requests_running": gap}
    async with asked(held, presets=()) as (_, ask):
        told = [await ask.at(seconds) for seconds in (0.0, 15.0, 120.0, 150.0, 165.0)]
    counted = [
        [(one.value, one.epoch) for one in report.observations if one.le is not None]
        for report in told
    ]
    first, then = T0, T0 + 150.0
    assert counted == [[(0.0, first)], [(4.0, first)], [], [(0.0, then)], [(1.0, then)]]


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ({"node_load1": steps([1.0])}, "none that a preset reads"),
        ({"DCGM_FI_DEV_GPU_UTIL": steps([1.0])}, "none that a preset reads"),
        (
            {
                metric: steps([1.0])
                for metric in (
                    "vllm:num_requests_running",
                    "vllm:e2e_request_latency_seconds_bucket",
                    "nv_inference_request_success",
                    "nv_inference_exec_count",
                )
            },
            "triton, vllm all fit",
        ),
    ],
)
async def test_what_fits_no_preset_or_two_is_missing_and_says_so(held: Points, why: str) -> None:
    async with asked(held, presets=()) as (_, ask):
        report = await ask.at(0.0)
    assert report.quality is Quality.MISSING
    assert why in report.detail


@pytest.mark.parametrize(
    "more", [{"warnings": ["store-1 is gone"]}, {"isPartial": True}], ids=["thanos", "victoria"]
)
async def test_a_partial_answer_is_no_round_at_all(more: dict[str, Any]) -> None:
    async with asked(LIVES) as (database, ask):
        database.more = more
        report = await ask.at(15.0)
    assert (report.quality, report.observations) == (Quality.UNREACHABLE, ())


async def test_a_clock_that_differs_is_absurd_and_a_small_difference_is_not() -> None:
    async with asked(LIVES) as (database, ask):
        database.date = 3.0
        assert (await ask.at(15.0)).quality is Quality.GOOD
        database.date = -60.0
        report = await ask.at(30.0)
    assert report.quality is Quality.ABSURD
    assert "its clock is -59.5 s from ours" in report.detail


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-1"])
async def test_an_odd_counter_is_told_as_no_number_and_its_neighbours_are_read(odd: str) -> None:
    held = LIVES | {WORK: steps([1, odd]), "vllm:prompt_tokens_total": steps([5, 8])}
    async with asked(held) as (_, ask):
        await ask.values(0.0)
        told = await ask.values(15.0)
    assert math.isnan(told["model", ARRIVED])
    assert told["model", raw.PROMPT_TOKENS] == 3.0


async def test_buckets_are_scaled_and_summed_by_bound() -> None:
    held: dict[str, Any] = {}
    for instance, first in (("a:1", 0), ("b:1", 100)):
        for le, rate in (("0.035", 1), ("+Inf", 2)):
            text = f'vllm:e2e_request_latency_seconds_bucket{{le="{le}",instance="{instance}"}}'
            held[text] = steps([first + rate * n for n in range(3)])
    async with asked(held) as (_, ask):
        await ask.at(0.0)
        report = await ask.at(30.0)
    told: dict[float | None, Observation] = {one.le: one for one in report.observations}
    assert {le: one.value for le, one in told.items()} == {35.0: 4.0, math.inf: 8.0}
    assert {one.key.signal for one in report.observations} == {raw.LATENCY}


async def test_it_keeps_the_promises_of_a_source() -> None:
    held = {text: [(at - 60.0, value) for at, value in points] for text, points in LIVES.items()}
    async with asked(held | {WORK: steps([1, 2, 3], start=-45.0)}) as (database, ask):
        settings = ask.source._settings
        report = await check_source(
            lambda: build(settings), now=TimeNs(round(T0 * SECOND)), within_s=ENOUGH_S
        )
        assert database.queries
    assert report.quality is Quality.GOOD


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"presets": ("vlm",)}, "did you mean 'vllm'"),
        ({"presets": ("litserve",)}, "reads none of it"),
        ({"select": ()}, "at least 1"),
        ({"select": (("__name__", "up"),)}, "not a label"),
        ({"select": (("job", ""),)}, "selects nothing"),
        ({"select": (("job", "~("),)}, "no pattern"),
        ({"select": (("job", "~.*"),)}, "without the label"),
        ({"subject": ""}, "neither subject nor replica_label"),
        ({"window_s": 1.0}, "greater than"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, Any], why: str) -> None:
    right = {
        "name": "p",
        "deployment": "d",
        "url": "http://prom:9090",
        "timeout_s": 1.0,
        "subject": names.MODEL,
        "select": (("job", "a"),),
    }
    PrometheusSettings.model_validate(right)
    with pytest.raises(ValidationError, match=why):
        PrometheusSettings.model_validate(right | wrong)
