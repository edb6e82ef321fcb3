"""Series that read zero though what they count goes on: an outage of the metrics, not of the work.

A source that is down reads as nothing or as zero, and a zero is believed: an idle deployment is
scaled in while it is fully loaded (Kubernetes issue 104387). By itself a zero may be true. It is
not where another page says the opposite of it: requests are counted at both ends of their way, and
work takes a processor. Both ends must be known, and the end that is not zero near its usual level:
where traffic really stops, both fall.
"""

from collections.abc import Iterator
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Quality
from homeostat.base.world import Replica
from homeostat.detect.case import REFUSED, Case

# The end that goes on has at least so much of its usual level.
_GOES_ON: Final = 0.5
# Requests a second below which a window may hold none by chance.
_LEAST: Final = 1.0
# Of the processor, usually: below it a scrape may see none of it.
_SOME_CPU: Final = 0.02
# As many of the replicas that are heard.
_MOST: Final = 0.5


def zeros(case: Case) -> Iterator[str]:
    """Return what reads zero against another page, one sentence each.

    Args:
        case: One deployment on one tick.
    """
    heard = [one for one in case.serving if case.heard.get(case.subjects[one.name]) is Quality.GOOD]
    return iter(()) if few_are_zero(case, heard) else one_by_one(case, heard)


def few_are_zero(case: Case, heard: list[Replica]) -> bool:
    """Return whether surely too few zeros are read to speak against another page."""
    if case.value(names.GATEWAY, names.ARRIVAL_RATE) == 0.0:
        return False
    silent = case.known(heard, names.ARRIVAL_RATE).count(0.0)
    idle = case.known(heard, names.CPU_SHARE).count(0.0)
    return silent < max(len(heard), 2) and idle <= max(_MOST * len(heard), 1)


def one_by_one(case: Case, heard: list[Replica]) -> Iterator[str]:
    """Yield what reads zero against another page, every pair of pages compared.

    Args:
        case: One deployment on one tick.
        heard: Those that serve and whose pages came.
    """
    rate = case.value(names.GATEWAY, names.ARRIVAL_RATE)
    usual = case.usual.get((names.GATEWAY, names.ARRIVAL_RATE), 0.0)
    inside = _arriving(case, heard) if rate == 0.0 else None
    if rate == 0.0 and usual >= _LEAST and inside is not None and inside[0] >= inside[1] > 0.0:
        yield f"gateway says that nothing arrives, and its replicas get {inside[0]:.0f} per second"
    elif rate is not None and rate >= max(_GOES_ON * usual, _LEAST) and _answers(case):
        silent = [one for one in heard if _zero(case, one, names.ARRIVAL_RATE, _LEAST)]
        if len(silent) > 1 and len(silent) == len(heard):
            yield f"{len(silent)} replicas say that nothing arrives, and {rate:.0f} per second do"
    idle = [
        one for one in heard if _zero(case, one, names.CPU_SHARE, _SOME_CPU) and _works(case, one)
    ]
    if len(idle) > 1 and len(idle) > _MOST * len(heard):
        yield f"{len(idle)} of {len(heard)} replicas answer and say that they use no processor"


def _arriving(case: Case, heard: list[Replica]) -> tuple[float, float] | None:
    """Return what arrives at the replicas, and how much of it shows that they go on."""
    known = [
        (value, usual)
        for one in heard
        if (value := case.value(case.subjects[one.name], names.ARRIVAL_RATE)) is not None
        and (usual := case.usual.get((case.subjects[one.name], names.ARRIVAL_RATE))) is not None
    ]
    if not known:
        return None
    rate, usual = (sum(column) for column in zip(*known, strict=True))
    return rate, max(_GOES_ON * usual, _LEAST)


def _zero(case: Case, replica: Replica, signal: str, least: float) -> bool:
    """Return whether a signal of a replica reads zero that usually is at least so much."""
    subject = case.subjects[replica.name]
    return case.value(subject, signal) == 0.0 and case.usual.get((subject, signal), 0.0) >= least


def _works(case: Case, replica: Replica) -> bool:
    """Return whether a replica is seen to compute: batches go through, and requests arrive."""
    arrived = case.value(case.subjects[replica.name], names.ARRIVAL_RATE)
    return case.serves(replica) and arrived is not None and arrived >= _LEAST


def _answers(case: Case) -> bool:
    """Return whether the gateway's requests are answered: what fails or is refused gets nowhere."""
    failed = case.value(names.GATEWAY, names.ERROR_RATIO)
    refused = case.value(names.GATEWAY, names.REFUSED_RATIO)
    well = failed is not None and failed <= case.managed.objective.error_ratio
    return well and (refused is None or refused <= REFUSED)
