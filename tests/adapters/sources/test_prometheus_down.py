"""A target that is down hides what it would have told, and nothing that others told whole.

The usual case is one entry over a HAProxy and the servers behind it: a server that hangs is down,
and the gateway, which counts every arrival, is not. Without its word nobody may drain that server.
"""

from typing import Any, Final

import pytest
from prometheus_fake import asked, steps

from homeostat.base import raw

ARRIVED, OK, QUEUE, INFLIGHT = raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.QUEUE, raw.INFLIGHT
EXTENTS: Final = (ARRIVED, QUEUE, INFLIGHT)
GATEWAY_FIRST, SERVERS_FIRST = (
    ("haproxy", "homeostat_instrument"),
    ("homeostat_instrument", "haproxy"),
)
UP, DOWN = [1] * 8, [1, 1, 0, 0, 0, 0, 0, 0]

Held = dict[str, Any]


def haproxy(instance: str = "h-1", up: list[int] | None = None, each: int = 30) -> Held:
    """Return a HAProxy that counts so many requests a scrape, as long as it is up."""
    return _target("haproxy", instance, UP if up is None else up, {
        'haproxy_backend_http_requests_total{proxy="m"': lambda n: each * n,
        'haproxy_backend_http_responses_total{proxy="m",code="2xx"': lambda n: each * n,
        'haproxy_backend_current_queue{proxy="m"': lambda _: 0,
        'haproxy_backend_current_sessions{proxy="m"': lambda _: 4,
    })  # fmt: skip


def server(instance: str, up: list[int] | None = None) -> Held:
    """Return a model server that counts ten requests a scrape, as long as it is up."""
    return _target("servers", instance, UP if up is None else up, {
        'ml_requests_total{code="200"': lambda n: 10 * n,
        "ml_queue_length{": lambda _: 1,
        "ml_inflight{": lambda _: 2,
    })  # fmt: skip


def _target(job: str, instance: str, up: list[int], tells: dict[str, Any]) -> Held:
    whose = f'job="{job}",instance="{instance}"'
    held: Held = {f"up{{{whose}}}": steps(up)}
    for opened, value in tells.items():
        comma = "" if opened.endswith("{") else ","
        points = [(15.0 * n, value(n)) for n, lives in enumerate(up) if lives]
        held[f"{opened}{comma}{whose}}}"] = points
    return held


async def during(held: Held, presets: tuple[str, ...], since: float = 0.0) -> set[str]:
    """Return which extents of the gateway are told at last, asked each scrape from a time on."""
    async with asked(held, presets=presets, subject="gateway") as (_, ask):
        rounds = [await ask.values(15.0 * n) for n in range(8) if 15.0 * n >= since]
    told = rounds[-1]
    return {signal for signal in EXTENTS if ("gateway", signal) in told}


async def test_a_gateway_that_is_up_tells_all_arrivals_while_a_server_hangs() -> None:
    held = haproxy() | server("s-1") | server("s-2", DOWN)
    async with asked(held, presets=GATEWAY_FIRST, subject="gateway") as (_, ask):
        told = [await ask.values(15.0 * n) for n in range(8)]
    assert [one["gateway", ARRIVED] for one in told] == [30.0 * n for n in range(8)]
    assert told[-1]["gateway", QUEUE] == 0.0
    assert told[-1]["gateway", INFLIGHT] == 4.0
    assert told[-1]["gateway", OK] == 210.0


@pytest.mark.parametrize("presets", [GATEWAY_FIRST, SERVERS_FIRST])
async def test_when_all_are_up_nothing_is_hidden(presets: tuple[str, ...]) -> None:
    held = haproxy() | server("s-1") | server("s-2")
    assert await during(held, presets) == set(EXTENTS)


async def test_where_the_servers_are_summed_one_that_hangs_hides_the_sums() -> None:
    """The same targets, other owners: what s-2 would have told is missing from each of them."""
    held = haproxy() | server("s-1") | server("s-2", DOWN)
    assert await during(held, SERVERS_FIRST) == set()


async def test_one_of_two_gateways_that_is_down_hides_the_arrivals() -> None:
    held = haproxy("h-1") | haproxy("h-2", DOWN) | server("s-1")
    assert await during(held, GATEWAY_FIRST) == set()


async def test_no_server_speaks_for_a_gateway_that_is_down() -> None:
    held = haproxy("h-1", DOWN) | server("s-1") | server("s-2")
    assert await during(held, GATEWAY_FIRST) == set()


async def test_of_a_target_that_was_never_heard_nobody_knows_what_it_would_tell() -> None:
    """It may be a second gateway."""
    never = {'up{job="new",instance="n-1"}': steps([0] * 8)}
    assert await during(haproxy() | server("s-1") | never, GATEWAY_FIRST) == set()


async def test_a_target_that_answered_and_said_nothing_yet_is_not_heard() -> None:
    silent = {'up{job="new",instance="n-1"}': steps(DOWN)}
    assert await during(haproxy() | server("s-1") | silent, GATEWAY_FIRST) == set()


async def test_one_that_had_counted_no_request_yet_hides_what_its_preset_counts() -> None:
    """Its labelled counter would have appeared with the first request, which nobody scraped."""
    young = _target("servers", "s-2", DOWN, {"process_resident_memory_bytes{": lambda _: 9})
    held = haproxy() | server("s-1") | young
    assert await during(held, SERVERS_FIRST) == set()
    assert await during(held, GATEWAY_FIRST) == set(EXTENTS)


async def test_who_begins_to_look_while_a_server_is_down_knows_it_by_what_it_said_before() -> None:
    """As a controller does that takes over: the window reaches back, and then no longer."""
    late = haproxy() | server("s-1") | server("s-2", DOWN)
    assert await during(late, GATEWAY_FIRST, since=75.0) == set(EXTENTS)
    assert await during(late, SERVERS_FIRST, since=75.0) == set()
    assert await during(late, GATEWAY_FIRST, since=105.0) == set()  # (30, 105] shows `up` alone


async def test_a_server_that_is_back_is_in_the_sums_again() -> None:
    held = haproxy() | server("s-1") | server("s-2", [1, 1, 0, 0, 0, 0, 1, 1])
    assert await during(held, SERVERS_FIRST) == set(EXTENTS)


async def test_a_replica_that_is_down_hides_its_own_sums_and_no_other_replicas() -> None:
    held = {
        f'{name[:-1]},pod="{pod}"}}': points
        for pod, up in (("a-1", UP), ("a-2", DOWN))
        for name, points in server(f"{pod}:80", up).items()
    }
    presets = ("homeostat_instrument",)
    async with asked(held, presets=presets, subject="", replica_label="pod") as (_, ask):
        told = [await ask.values(at) for at in (0.0, 15.0, 30.0, 45.0)][-1]
    assert told["replica:a-1", INFLIGHT] == 2.0
    assert not [key for key in told if key[0] == "replica:a-2" and key[1] in EXTENTS]
