"""Accelerators of a replica: the fullest, the mean, and nothing of one that may be another's."""

from typing import Any

import pytest
from prometheus_fake import Points, asked, steps

from homeostat.base import raw

MIB = 1024.0 * 1024.0
POD = {"replica_label": "pod", "subject": "", "presets": ("dcgm",)}
A, B = "replica:a-1", "replica:a-2"
DEVICES = {raw.DEVICE_USED, raw.DEVICE_TOTAL, raw.DEVICE_BUSY}


def card(
    pod: str, chip: str, used: Any, free: Any, busy: float | None = 50.0, **more: str
) -> dict[str, Any]:
    """Return what dcgm-exporter says of one device, in MiB and percent; pod="" names none."""
    said: dict[str, str] = {"gpu": chip, "UUID": f"GPU-{chip}"} | ({"pod": pod} if pod else {})
    labels = ",".join(f'{name}="{value}"' for name, value in (said | more).items())
    found = {
        f"DCGM_FI_DEV_FB_USED{{{labels}}}": steps([used] * 3),
        f"DCGM_FI_DEV_FB_FREE{{{labels}}}": steps([free] * 3),
    }
    if busy is not None:
        found[f"DCGM_FI_DEV_GPU_UTIL{{{labels}}}"] = steps([busy] * 3)
    return found


async def told(held: Points, **settings: Any) -> dict[tuple[str, str], float]:
    """Return what is told of devices, by subject and signal."""
    async with asked(held, **(POD | settings)) as (_, ask):
        report = await ask.at(30.0)
    return {
        (one.key.subject, one.key.signal): one.value
        for one in report.observations
        if one.key.signal in DEVICES
    }


async def test_memory_is_of_the_fullest_device_and_busy_time_the_mean_of_all() -> None:
    held = card("a-1", "0", 10, 90, 20.0) | card("a-1", "1", 60, 20, 40.0) | card("a-2", "2", 5, 5)
    assert await told(held) == {
        (A, raw.DEVICE_USED): 60 * MIB,
        (A, raw.DEVICE_TOTAL): 80 * MIB,
        (A, raw.DEVICE_BUSY): pytest.approx(0.3),
        (B, raw.DEVICE_USED): 5 * MIB,
        (B, raw.DEVICE_TOTAL): 10 * MIB,
        (B, raw.DEVICE_BUSY): 0.5,
    }


async def test_a_device_without_a_pod_is_nobodys() -> None:
    idle = card("", "1", 99, 1)
    found = await told(card("a-1", "0", 10, 90) | idle, subject="model")
    assert found[A, raw.DEVICE_USED] == 10 * MIB
    assert {subject for subject, _ in found} == {A}
    assert await told(idle, subject="model") == {}


async def test_a_device_that_two_pods_share_is_neithers() -> None:
    """Time slicing: dcgm-exporter repeats the whole device's numbers for each pod."""
    shared = card("a-1", "0", 70, 30) | card("a-2", "0", 70, 30)
    assert await told(shared) == {}
    found = await told(shared | card("a-2", "1", 20, 80))
    assert {subject for subject, _ in found} == {B}
    assert found[B, raw.DEVICE_USED] == 20 * MIB


async def test_instances_of_a_divided_device_are_devices_of_their_own() -> None:
    one = card("a-1", "0", 10, 10, None, GPU_I_ID="1")
    two = card("a-2", "0", 15, 5, None, GPU_I_ID="2")
    engine = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-0",pod="a-1",GPU_I_ID="1"}'
    found = await told(one | two | {engine: steps([0.7] * 3)})
    assert found == {
        (A, raw.DEVICE_USED): 10 * MIB,
        (A, raw.DEVICE_TOTAL): 20 * MIB,
        (A, raw.DEVICE_BUSY): 0.7,
        (B, raw.DEVICE_USED): 15 * MIB,
        (B, raw.DEVICE_TOTAL): 20 * MIB,
    }


async def test_of_a_whole_device_one_busy_time_counts_and_always_the_same() -> None:
    engine = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-0",pod="a-1"}'
    found = await told(card("a-1", "0", 10, 90, 80.0) | {engine: steps([0.1] * 3)})
    assert found[A, raw.DEVICE_BUSY] == 0.8


async def test_the_exporters_own_pod_is_no_replica() -> None:
    """`honor_labels: false` leaves the exporter in `pod` and the device's pod in `exported_pod`."""
    held = card("exporter-x", "0", 10, 90, exported_pod="a-1")
    assert await told(held) == {}
    assert (await told(held, replica_label="exported_pod"))[A, raw.DEVICE_USED] == 10 * MIB


async def test_one_device_that_says_half_leaves_the_replica_unknown() -> None:
    held = card("a-1", "0", 10, 90) | card("a-1", "1", 60, 20)
    half = {name: at for name, at in held.items() if "FREE" not in name or 'gpu="0"' in name}
    found = await told(half)
    assert {signal for _, signal in found} == {raw.DEVICE_BUSY}
    quiet = {name: at for name, at in held.items() if "UTIL" not in name or 'gpu="0"' in name}
    assert (A, raw.DEVICE_BUSY) not in await told(quiet)


@pytest.mark.parametrize(("used", "free"), [(-5.0, 90.0), ("NaN", 90.0), (10.0, -1.0)])
async def test_what_can_be_no_memory_is_not_hidden_by_another_device(used: Any, free: Any) -> None:
    found = await told(card("a-1", "0", used, free) | card("a-1", "1", 60, 20))
    memory = found[A, raw.DEVICE_USED], found[A, raw.DEVICE_TOTAL]
    assert not 0.0 <= memory[0] <= memory[1]


async def test_a_busy_time_of_more_than_all_is_not_hidden_in_a_mean() -> None:
    found = await told(card("a-1", "0", 1, 9, 5000.0) | card("a-1", "1", 1, 9, 0.0))
    assert found[A, raw.DEVICE_BUSY] == 50.0


async def test_a_device_scraped_twice_is_one() -> None:
    twice = card("a-1", "0", 10, 90, 20.0, job="llm2") | card("a-1", "0", 10, 90, 20.0)
    found = await told(twice | card("a-1", "1", 5, 95, 80.0))
    assert found[A, raw.DEVICE_BUSY] == 0.5


async def test_an_exporter_that_is_down_leaves_its_devices_unknown() -> None:
    held: dict[str, Any] = card("a-1", "0", 10, 90) | {
        'up{pod="a-1"}': steps([1, 1, 1, 0, 0, 0, 0, 0])
    }
    async with asked(held, **POD) as (_, ask):
        before = await ask.values(30.0)
        after = await ask.at(105.0)
    assert before[A, raw.DEVICE_USED] == 10 * MIB
    assert not {one.key.signal for one in after.observations} & DEVICES


async def test_triton_tells_of_the_devices_of_its_host() -> None:
    serves = {
        f'{name}{{model="m",pod="a-1"}}': steps([1] * 3)
        for name in ("nv_inference_request_success", "nv_inference_exec_count")
    }
    cards = {
        f'nv_gpu_{what}{{gpu_uuid="GPU-{chip}",pod="a-1"}}': steps([value] * 3)
        for chip, numbers in (("0", (4e9, 16e9, 0.2)), ("1", (8e9, 16e9, 0.6)))
        for what, value in zip(
            ("memory_used_bytes", "memory_total_bytes", "utilization"), numbers, strict=True
        )
    }
    found = await told(serves | cards, presets=("triton", "dcgm"))
    assert found == {
        (A, raw.DEVICE_USED): 8e9,
        (A, raw.DEVICE_TOTAL): 16e9,
        (A, raw.DEVICE_BUSY): pytest.approx(0.4),
    }
    neighbour = {name.replace("a-1", "a-2"): at for name, at in (serves | cards).items()}
    assert await told(serves | cards | neighbour, presets=("triton",)) == {}


async def test_the_server_speaks_before_the_exporter_of_its_node() -> None:
    card_of = 'nv_gpu_utilization{gpu_uuid="GPU-0",pod="a-1"}'
    held = card("a-1", "0", 10, 90, 90.0) | {card_of: steps([0.4] * 3)}
    found = await told(held, presets=("triton", "dcgm"))
    assert found[A, raw.DEVICE_BUSY] == 0.4
    assert found[A, raw.DEVICE_USED] == 10 * MIB  # which Triton did not tell
