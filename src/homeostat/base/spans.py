"""A span: one stretch of work within one trace, as OpenTelemetry has it, without OpenTelemetry."""

from dataclasses import dataclass

from homeostat.base.units import TimeNs

Value = str | int | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch of work that is over.

    Attributes:
        name: What was done, one of few.
        trace: The trace's id, 128 bits, not 0.
        id: Its own, 64 bits, not 0.
        parent: The id of the span that it is part of, None for the trace's first.
        start: When it began.
        end: When it was over; not before `start`.
        attributes: (name, value) pairs; nothing that anybody wrote, or that came from outside.
        failed: What was done came to no good.
        outward: It was a call to somebody else.
    """

    name: str
    trace: int
    id: int
    parent: int | None
    start: TimeNs
    end: TimeNs
    attributes: tuple[tuple[str, Value], ...] = ()
    failed: bool = False
    outward: bool = False
