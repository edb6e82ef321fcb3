"""The conformance kit of notifiers: what every one must keep, with a receiver that listens.

    delivered = await check_notifier(make, delivered=lambda: received)

Raises AssertionError with a sentence on the first broken promise.
"""

from collections.abc import Callable, Sequence

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.ports import Notifier
from homeostat.base.units import TimeNs

NASTY = 'x" onload=alert(1) [bold]<b>\x1b[2J\r\n\x00\u202e${jndi} \u2603'
"""What a label from outside may hold."""

NOTICES: tuple[Notice, ...] = (
    Notice(
        key="i-0001",
        deployment="credit",
        at=TimeNs(1_800_000_000_000_000_000),
        urgency=Urgency.PAGE,
        title="a-1 answers no probe",
        lines=("3 rounds failed", "restarting it"),
    ),
    Notice(
        key="i-0001",
        deployment="credit",
        at=TimeNs(1_800_000_001_000_000_000),
        urgency=Urgency.PAGE,
        title="recovered",
    ),
    Notice(
        key=NASTY,
        deployment=NASTY,
        at=TimeNs(0),
        urgency=Urgency.PAGE,
        title=NASTY,
        lines=(NASTY, "y" * 5000),
    ),
)


async def check_notifier(
    make: Callable[[], Notifier], *, delivered: Callable[[], Sequence[bytes]]
) -> Sequence[bytes]:
    """Check a notifier whose receiver is well.

    Args:
        make: Builds it.
        delivered: What the receiver got so far, one item a notice.

    Returns:
        What was delivered, for checks of this notifier in particular.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Notifier` is broken.
    """
    notifier = make()
    for count, notice in enumerate(NOTICES, start=1):
        await notifier.notify(notice)
        got = delivered()
        if len(got) != count:
            raise AssertionError(f"{count} notices were given, {len(got)} delivered")
        if notice.title.encode() not in got[-1] and notice.title != NASTY:
            raise AssertionError(f"the title {notice.title!r} is not in {got[-1]!r}")
        if b"\x1b" in got[-1].rstrip() or b"\x00" in got[-1]:
            raise AssertionError("control characters from outside reached the receiver raw")
    await notifier.close()
    await notifier.close()
    return delivered()
