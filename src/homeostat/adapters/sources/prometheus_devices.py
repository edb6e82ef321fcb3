"""What a replica's accelerators say, taken together: memory of the fullest one, the mean busy time.

Exporters tell of devices, not of replicas. A device is a replica's where its series name that
replica and no other: what they say is of the whole device, so one that several share says nothing
of any of them. Nor does one whose replica is named by its exporter alone: where Prometheus keeps a
target's own labels (`honor_labels: false`), the exporter's pod stands in `pod` and the device's in
`exported_pod`. An instance of a device that was divided (MIG) is a device. A replica's number is
unknown while that of one of its devices is; nothing is made up from those that are left.

What cannot be seen here: a device shared with pods that are not selected.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.base import names, raw

SIGNALS: Final = frozenset({raw.DEVICE_USED, raw.DEVICE_FREE, raw.DEVICE_TOTAL, raw.DEVICE_BUSY})
"""What rules say of devices; USED, TOTAL and BUSY are told on, of a replica."""

_REPLICA: Final = names.replica("")
_EXPORTED: Final = "exported_"  # what Prometheus puts before a label that its target has too
# The device itself, by exporter; the instance of a divided one.
_CHIPS: Final = ("UUID", "gpu_uuid")
_INSTANCE: Final = "GPU_I_ID"

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One live series that says something of a device.

    Attributes:
        place: Of its preset; the first is the best.
        rank: Of its rule among the preset's: of two that say the same, the first is taken.
        subject: Whom it names, empty for nobody.
        signal: One of `SIGNALS`.
        labels: All of its labels.
        value: In the signal's unit.
        at_s: When it was scraped.
    """

    place: int
    rank: int
    subject: str
    signal: str
    labels: Mapping[str, str]
    value: float
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One raw signal of one replica.

    Attributes:
        place: Of the preset that says it.
        subject: The replica.
        signal: USED and TOTAL of its fullest device, or BUSY, the mean of them all.
        value: In the signal's unit; one that cannot be stays what it is.
        at_s: When the oldest part of it was scraped.
    """

    place: int
    subject: str
    signal: str
    value: float
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """One device of one replica, as far as it is known.

    Attributes:
        memory: Bytes in use, bytes there, and when the older of both was scraped.
        busy: Share of time, and when that was scraped.
    """

    memory: tuple[float, float, float] | None
    busy: tuple[float, float] | None

    @property
    def at_s(self) -> float:
        """When the newest part of it was scraped."""
        parts = (self.memory, self.busy)
        return max((part[-1] for part in parts if part is not None), default=-math.inf)


def own(labels: Mapping[str, str], subject: str, replica_label: str) -> str:
    """Return the replica that a device's series names, empty for none.

    Args:
        labels: Of the series.
        subject: Whom it is counted for otherwise.
        replica_label: Label that holds a replica's name; empty if nothing does.

    >>> own({"pod": "a-1"}, "replica:a-1", "pod")
    'replica:a-1'
    >>> own({"pod": "exporter", "exported_pod": "a-1"}, "replica:exporter", "pod")
    ''
    >>> own({}, "model", "pod")
    ''
    """
    if not subject.startswith(_REPLICA):
        return ""
    if not replica_label:
        return subject
    by_exporter = _EXPORTED + replica_label in labels
    return subject if labels.get(replica_label) and not by_exporter else ""


def told(heard: Sequence[Heard]) -> Iterator[Told]:
    """Return what is known of each replica's devices, best preset first."""
    shared = _shared(heard)
    groups: dict[tuple[int, str], dict[Labels, dict[str, Heard]]] = {}
    for one in sorted(heard, key=lambda one: (one.place, one.rank)):
        if one.subject and _chip(one.labels) not in shared:
            devices = groups.setdefault((one.place, one.subject), {})
            devices.setdefault(_device(one.labels), {}).setdefault(one.signal, one)
    for (place, subject), devices in groups.items():
        for signal, value, at_s in _together(_distinct(devices)):
            yield Told(place=place, subject=subject, signal=signal, value=value, at_s=at_s)


def _device(labels: Mapping[str, str]) -> Labels:
    """Return what the series of one device have in common."""
    return frozenset((name, value) for name, value in labels.items() if name != "__name__")


def _chip(labels: Mapping[str, str]) -> Labels:
    """Return what names a device wherever it is told of; nothing but itself where nothing does."""
    chip = frozenset((name, labels[name]) for name in (*_CHIPS, _INSTANCE) if labels.get(name))
    return chip if any(name in _CHIPS for name, _ in chip) else _device(labels)


def _shared(heard: Iterable[Heard]) -> set[Labels]:
    """Return the devices that are told of for more than one replica."""
    owners: dict[Labels, set[str]] = {}
    for one in heard:
        if one.subject:
            owners.setdefault(_chip(one.labels), set()).add(one.subject)
    return {chip for chip, subjects in owners.items() if len(subjects) > 1}


def _distinct(devices: Mapping[Labels, Mapping[str, Heard]]) -> list[_Device]:
    """Return each device once: of one that is scraped twice, what was said last."""
    newest: dict[Labels, _Device] = {}
    for labels in sorted(devices, key=sorted):
        one, chip = _known(devices[labels]), _chip(dict(labels))
        if chip not in newest or one.at_s > newest[chip].at_s:
            newest[chip] = one
    return list(newest.values())


def _known(said: Mapping[str, Heard]) -> _Device:
    used, free = said.get(raw.DEVICE_USED), said.get(raw.DEVICE_FREE)
    total, busy = said.get(raw.DEVICE_TOTAL), said.get(raw.DEVICE_BUSY)
    memory = None
    if used is not None and total is not None:
        memory = used.value, total.value, min(used.at_s, total.at_s)
    elif used is not None and free is not None:
        # What drivers keep for themselves is in neither: nobody could have it.
        whole = used.value + free.value if free.value >= 0.0 else math.nan
        memory = used.value, whole, min(used.at_s, free.at_s)
    return _Device(memory=memory, busy=None if busy is None else (busy.value, busy.at_s))


def _together(devices: Sequence[_Device]) -> Iterator[tuple[str, float, float]]:
    """Return signals, values and times of one replica from all of its devices."""
    memories = [one.memory for one in devices if one.memory is not None]
    if memories and len(memories) == len(devices):
        used, total, _ = max(memories, key=_fullness)
        at_s = min(at_s for _, _, at_s in memories)
        yield raw.DEVICE_USED, used, at_s
        yield raw.DEVICE_TOTAL, total, at_s
    busy = [one.busy for one in devices if one.busy is not None]
    if busy and len(busy) == len(devices):
        values = [value for value, _ in busy]
        # One that can be no share is told as it is: a mean would hide it.
        odd = next((value for value in values if not 0.0 <= value <= 1.0), None)
        mean = math.fsum(values) / len(values) if odd is None else odd
        yield raw.DEVICE_BUSY, mean, min(at_s for _, at_s in busy)


def _fullness(memory: tuple[float, float, float]) -> float:
    """Return the share in use; what can be none is fullest, so that it is seen and not believed."""
    used, total, _ = memory
    return used / total if 0.0 <= used <= total and total > 0.0 else math.inf
