"""Reading the load log: three answers per second, and when service was well again."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.policy import Objective
from homeostat.demo.loadlog import LoadLog, SloWindow, recovered_at

START = 1_000
PROMISED = Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.80)


def line(t: float, **changes: Any) -> dict[str, Any]:
    return {
        "t": t, "id": f"r{t}", "latency_ms": 50.0, "status": 200, "attempts": 1,
        "replica": "a-1", "replicas": ["a-1"], "version": "v2", "outcome": "ok",
        "finite": True, "correct": True,
    } | changes  # fmt: skip


def second(at: int, n: int = 100, **kinds: int) -> list[dict[str, Any]]:
    """Return one second's lines: `n` requests, some of them of a named kind."""
    changes: dict[str, dict[str, Any]] = {
        "failed": {"outcome": "failed", "status": 500, "finite": None, "correct": None},
        "timeout": {
            "outcome": "timeout", "status": None, "finite": None, "correct": None,
            "latency_ms": 2_010.0,
        },
        "refused": {"outcome": "refused", "status": 503, "finite": None, "correct": None},
        "wrong": {"correct": False},
        "garbage": {"finite": False, "correct": False},
        "slow": {"latency_ms": 251.0},
    }  # fmt: skip
    odd = [changes[kind] for kind, count in kinds.items() for _ in range(count)]
    plain: list[dict[str, Any]] = [{}] * (n - len(odd))
    return [line(at + k / (n + 1), **change) for k, change in enumerate([*odd, *plain])]


def log_of(*seconds: list[dict[str, Any]], complete_until: float | None = None) -> LoadLog:
    log = LoadLog()
    lines = [one for part in seconds for one in part]
    if complete_until is not None:
        lines.append({"event": "tick", "t": 0.0, "complete_until": complete_until})
    log.feed("".join(json.dumps(one) + "\n" for one in lines).encode())
    return log


def verdict(**kinds: int) -> bool | None:
    log = log_of(second(START, **kinds), complete_until=START + 1)
    return SloWindow(log=log, objective=PROMISED).met(START)


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        ({}, True),
        ({"failed": 1}, True),
        ({"failed": 2}, False),
        ({"timeout": 1}, True),
        ({"failed": 1, "timeout": 1}, False),
        ({"slow": 5}, True),
        ({"slow": 6}, False),
        ({"wrong": 20}, True),
        ({"wrong": 21}, False),
        ({"garbage": 2}, False),
        ({"refused": 90}, True),
        ({"refused": 96}, None),
        ({"refused": 100}, None),
        ({"refused": 50, "failed": 1}, False),
    ],
    ids=str,
)
def test_a_second_is_judged_at_the_edges_of_the_objective(
    kinds: dict[str, int],
    wanted: bool | None,  # noqa: FBT001 - the verdict
) -> None:
    assert verdict(**kinds) is wanted


def test_all_failing_fast_is_not_met_although_latency_is_fine() -> None:
    assert verdict(failed=100) is False


def test_without_an_accuracy_promise_wrong_answers_do_not_count() -> None:
    log = log_of(second(START, wrong=100), complete_until=START + 1)
    promised = Objective(latency_p95_ms=250.0, error_ratio=0.01)
    assert SloWindow(log=log, objective=promised).met(START) is True


def test_a_second_without_requests_or_with_too_few_is_unknown() -> None:
    log = log_of(second(START), second(START + 2, n=4), complete_until=START + 9)
    window = SloWindow(log=log, objective=PROMISED)
    assert [window.met(START + k) for k in range(4)] == [True, None, None, None]


def test_a_second_whose_requests_may_still_be_under_way_is_unknown() -> None:
    log = log_of(second(START), second(START + 1), complete_until=START + 1.9)
    window = SloWindow(log=log, objective=PROMISED)
    assert [window.met(START), window.met(START + 1)] == [True, None]


def ticks(*at: float, **more: float) -> LoadLog:
    """Return a log of ticks alone; `more` is said by the last of them."""
    log = LoadLog()
    lines = [{"event": "tick", "t": t, "complete_until": t} for t in at]
    lines[-1] |= more
    log.feed("".join(json.dumps(one) + "\n" for one in lines).encode())
    return log


def test_a_generator_that_keeps_its_times_has_no_lag() -> None:
    assert ticks(1.0, 2.0, 3.0).lag_s() == 0.0
    assert LoadLog().lag_s(until=5.0) == 0.0


def test_requests_sent_late_and_seconds_without_a_tick_are_lag() -> None:
    assert ticks(1.0, 2.0, lag_ms=1_500.0).lag_s() == 1.5
    assert ticks(1.0, 9.0, 10.0).lag_s() == 7.0
    assert ticks(1.0, 2.0).lag_s(until=32.0) == 29.0


def test_only_what_comes_after_the_fault_counts_as_its_lag() -> None:
    log = ticks(1.0, 9.0, 10.0, 11.0)
    assert log.lag_s(after=9.5) == 0.0
    assert log.lag_s(after=5.0) == 7.0  # it began before, and was not over


def test_without_ticks_the_last_seconds_are_unknown() -> None:
    log = log_of(*(second(START + k) for k in range(6)))
    window = SloWindow(log=log, objective=PROMISED)
    assert [window.met(START + k) for k in range(6)] == [True] * 3 + [None] * 3


def test_pooled_seconds_judge_what_one_second_cannot() -> None:
    log = log_of(*(second(START + k, n=2) for k in range(4)), complete_until=START + 4)
    single = SloWindow(log=log, objective=PROMISED)
    pooled = SloWindow(log=log, objective=PROMISED, width_s=3)
    assert (single.met(START + 3), pooled.met(START + 3), pooled.met(START + 1)) == (
        None, True, None,
    )  # fmt: skip


def story(pattern: str) -> LoadLog:
    """Return a log of seconds: `+` well, `-` failing, `.` nobody came."""
    made = {"+": lambda at: second(at, 20), "-": lambda at: second(at, 20, failed=5)}
    parts = [made[kind](START + k) for k, kind in enumerate(pattern) if kind != "."]
    return log_of(*parts, complete_until=START + len(pattern))


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("+" * 5 + "-" * 5 + "+" * 10, 10),
        ("+" * 5 + "-" * 5 + "+" * 9, None),
        ("+" * 5 + "-" * 5 + "+" * 9 + "-" + "+" * 10, 20),
        ("+" * 5 + "-" * 5 + "+" * 9 + "." + "+" * 10, 20),
        ("+" * 20 + "-" * 5 + "+" * 10, 25),  # the fault took a while to show
        ("+" * 20, 3),  # it never did
        ("-" * 3 + "+" * 12, 3),  # trouble before the injection does not matter
        ("-" * 30, None),
        ("." * 30, None),
        ("", None),
    ],
)
def test_recovery_is_the_start_of_the_first_ten_good_seconds_after_the_damage(
    pattern: str, wanted: int | None
) -> None:
    at = recovered_at(story(pattern), START + 2.5, PROMISED)
    assert at == (None if wanted is None else START + wanted)


def test_from_a_given_time_on_the_damage_need_not_be_seen() -> None:
    log = story("+" * 30 + "-" * 3 + "+" * 3)
    assert log.recovered_at(START + 4.2, objective=PROMISED) == START + 5
    assert log.recovered_at(START + 24.0, objective=PROMISED) is None
    assert log.recovered_at(START + 24.0, calm_s=3, objective=PROMISED) == START + 24


@given(pattern=st.text("+-.", max_size=60), since=st.integers(0, 60))
def test_a_recovery_is_ten_good_seconds_and_the_first_such(pattern: str, since: int) -> None:
    at = story(pattern).recovered_at(START + since, objective=PROMISED)
    first = pattern.find("+" * 10, since)
    assert at == (None if first < 0 else START + first)


def test_failed_lists_what_failed_for_good_and_not_what_was_refused() -> None:
    log = log_of(second(START, failed=2, timeout=1, refused=3), second(START + 5, failed=1))
    assert len(log.failed()) == log.errors == 4
    assert len(log.failed(after=START + 5)) == 1
    assert len(log.failed(before=START + 5)) == 3
    assert log.total == 200
    slowest = max(log.failed(), key=lambda request: request.latency_ms)
    assert slowest.end == pytest.approx(slowest.t + 2.010)


@given(cuts=st.lists(st.integers(0, 4_000), max_size=8))
def test_a_log_read_in_pieces_is_the_same_log(cuts: list[int]) -> None:
    lines = [*second(START, 12, failed=2), {"event": "rate", "t": 1.0, "rate": 5}]
    data = "".join(json.dumps(one) + "\n" for one in lines).encode()
    whole, pieces = LoadLog(), LoadLog()
    whole.feed(data)
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(bounds):
        pieces.feed(data[start:end])
    assert pieces.requests == whole.requests
    assert pieces.events == whole.events
    assert pieces.bad_lines == 0


@pytest.mark.parametrize(
    "bad",
    ["{", "[]", "7", "null", '{"t": 1}', json.dumps(line(1.0) | {"outcome": "fine"}),
     json.dumps(line(1.0) | {"t": float("nan")}), json.dumps(line(1.0) | {"latency_ms": "x"}),
     '{"event": "tick"}', "\udcff"],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_counted_and_skipped(bad: str) -> None:
    log = LoadLog()
    log.feed(
        bad.encode("utf-8", "surrogateescape") + b"\n" + json.dumps(line(1.0)).encode() + b"\n"
    )
    assert (log.bad_lines, len(log.requests)) == (1, 1)


def test_a_file_is_followed_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    text = json.dumps(line(1.0)) + "\n"
    path.write_text(text + text[:20])
    log = LoadLog.read(path)
    assert log.total == 1
    with path.open("a") as file:
        file.write(text[20:] + text)
    log.update()
    assert (log.total, log.bad_lines) == (3, 0)
