"""A device's memory: growth towards its end is told, a level never is."""

import numpy as np
import pytest
from patient_by_hand import Patient

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast
from homeostat.base.units import SECOND

A = "replica:a-1"
SHARE = names.DEVICE_MEMORY_SHARE


def patient(share: float, usual: float | None, left_s: float | None = None) -> Patient:
    """Return a deployment one of whose devices is so full, usually so full, and full so soon."""
    found = Patient().set(A, SHARE, share)
    if usual is not None:
        found.usual[A, SHARE] = usual
    until = None if left_s is None else round(left_s * SECOND)
    found.forecasts.append(Forecast(subject=A, signal=SHARE, limit=1.0, time_to_limit_ns=until))
    return found


def test_a_device_that_fills_above_its_usual_is_suspected_with_its_own_word() -> None:
    filling = patient(0.7, 0.5, 60.0)
    assert filling.families() == [(Family.DEVICE_MEMORY, A)]
    because = filling.diagnosis()[0].because
    assert because == (
        "memory of a device of a-1 at 70%, usually 50%",
        "at this rate it is full in 60 s",
    )


@pytest.mark.parametrize("share", [0.9, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("usual", [0.9, 0.99, None])
def test_a_full_device_alone_is_nobodys_fault(share: float, usual: float | None) -> None:
    """Servers of language models take nine tenths and more when they start."""
    assert patient(share, usual).families() == []


@pytest.mark.parametrize(
    ("share", "usual", "left_s"),
    [
        (0.7, 0.5, 300.0),  # beyond the horizon
        (0.7, 0.69, 60.0),  # as full as ever: where it was before it was restarted
        (0.7, None, 60.0),  # nobody knows what is usual
        (0.97, 0.5, None),  # newly full, and everybody is answered
    ],
)
def test_what_is_far_or_usual_or_hurts_nobody_is_not_told(
    share: float, usual: float | None, left_s: float | None
) -> None:
    assert patient(share, usual, left_s).families() == []


def test_a_process_that_was_just_learnt_of_is_on_its_way_to_nothing() -> None:
    young = patient(0.7, 0.5, 60.0)
    young.learnt = 20.0
    assert young.families() == []


def test_a_newly_full_device_whose_requests_fail_is_told_and_a_usually_full_one_is_not() -> None:
    full = patient(0.97, 0.5).set(A, names.ERROR_RATIO, 0.05)
    assert (Family.DEVICE_MEMORY, A) in full.families()
    usual = patient(0.97, 0.92).set(A, names.ERROR_RATIO, 0.05)
    assert (Family.DEVICE_MEMORY, A) not in usual.families()
    unknown = patient(0.97, 0.5).set(A, names.ERROR_RATIO, None)
    assert (Family.DEVICE_MEMORY, A) not in unknown.families()


def test_what_is_not_believed_is_no_growth() -> None:
    silent = patient(0.7, 0.5, 60.0).set(A, SHARE, None)
    assert silent.families() == []


def test_host_and_device_that_fill_together_are_told_with_the_device_first() -> None:
    both = patient(0.7, 0.5, 60.0).set(A, names.MEMORY_SHARE, 0.95)
    assert both.families() == [(Family.DEVICE_MEMORY, A), (Family.MEMORY, A)]
    assert np.diff([one.confidence for one in both.diagnosis()])[0] < 0.0
