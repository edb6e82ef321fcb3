"""What the text of each scenario says that is seen of it, and what comes of it, under HOLD.

A sentence holds for at least a share of the draws: the texts' ranges begin where a fault hardly
shows (a stall of 2 %, a release that errs once in a hundred), and severity is theirs.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from hold_plays import Play

Tell = Callable[[Play], bool]
MOST, HALF, SOME = 0.75, 0.5, 0.2
ALL = 1.0


def up(signal: str, by: float) -> Tell:
    """It rises to so many times its usual value, for a minute."""
    return lambda play: play.peak(signal) >= by * play.before(signal)


def above(signal: str, level: float, scrapes: int = 4) -> Tell:
    """It gets above a level, for some scrapes."""
    return lambda play: play.peak(signal, scrapes) >= level


def down(signal: str, by: float) -> Tell:
    """It falls to so many times its usual value, for a minute."""
    return lambda play: play.trough(signal) <= by * play.before(signal)


def flat(signal: str, within: float = 0.3) -> Tell:
    """Its median stays within a share of the usual value."""
    return lambda play: bool(
        abs(np.nanmedian(play.after(signal)) / play.before(signal) - 1.0) <= within
    )


def less_ready(play: Play) -> bool:
    """Fewer replicas are ready, for a scrape at least."""
    return bool(np.min(play.after("ready")) < play.before("ready"))


def missed(by: float) -> Tell:
    """Measured accuracy falls by so much against the model's own."""
    return lambda play: (
        play.trough("acc", 8) <= float(np.ravel(play.episode.params.quality.accuracy)[0]) - by
    )


def sawtooth(play: Play) -> bool:
    """Memory reaches its limit and falls back."""
    series = play.after("mem")
    top = int(np.nanargmax(series))
    return bool(series[top] > 0.95 and np.nanmin(series[top:]) < 0.8 * series[top])


def slice_falls(play: Play) -> bool:
    """The slice loses at least 0.05, all users less than a third of that."""
    accuracy = float(np.ravel(play.episode.params.quality.accuracy)[0])
    lost_slice = accuracy - play.true["slice_quality"].min()
    lost = accuracy - play.true["quality"].min()
    return bool(lost_slice > 0.05 and lost < lost_slice / 3)


def scaled(signal: str) -> Tell:
    """It jumps by a factor of ten or more, either way, and stays there."""
    return lambda play: bool(
        abs(np.log10(np.nanmedian(play.after(signal)) / play.before(signal))) > 1.0
    )


def lags(play: Play) -> bool:
    """Gateway signals grow older by about the delay drawn."""
    return bool(play.after("age").max() >= play.episode.drawn["delay"] - 30.0)


def frozen_cpu(play: Play) -> bool:
    """The processor's series repeat a value for ten scrapes."""
    series = play.after("slot_cpu")
    return bool(np.any(np.nanmax(np.abs(np.diff(series[1:11], axis=0))) == 0.0))


def vanishes(play: Play) -> bool:
    """Whole scrapes of a signal are lost at once, or read zero."""
    lost = np.isnan(play.after("slot_cpu")) | (play.after("slot_cpu") == 0.0)
    there = ~np.isnan(play.seen["slot_cpu"][2])
    classes = (lost[:, there].all(axis=1), play.after("gaps") > 0, play.after("zeros") > 0)
    partly = lost[:, there].any(axis=1) & ~lost[:, there].all(axis=1)
    return bool(any(one.any() for one in classes) and not partly.any())


def swings(signal: str, ratio: float) -> Tell:
    """Its top is so many times its bottom after the onset."""
    return lambda play: play.peak(signal) >= ratio * play.trough(signal)


def stuck(play: Play) -> bool:
    """More than a minute after the trigger goodput is still below nine tenths."""
    good = play.true["good"] / np.maximum(play.true["offered"], 1e-9)
    end = int(np.ceil(float(play.episode.faults.stop_s[0]) / 15)) + 8
    return bool(len(good) > end and good[end] < 0.9)


# Sentence -> (test of one draw, share of the draws for which it must hold).
TELLS: Final[Mapping[str, Mapping[str, tuple[Tell, float]]]] = {
    "S01": {"p99 up": (up("p99", 1.15), MOST), "cpu up": (up("cpu", 1.1), MOST)},
    "S02": {"err up": (above("err", 0.02), MOST), "fleet p50 no worse":
            (lambda p: float(np.nanmedian(p.after("p50"))) <= 1.1 * p.before("p50"), MOST),
            "one replica errs": (above("worst_err", 0.8), ALL)},
    "S03": {"p99 up": (up("p99", 1.02), MOST), "one replica slower": (up("slowest", 1.05), MOST)},
    "S04": {"memory up to its limit": (above("mem", 0.95), MOST),
            "err up": (above("err", 0.02), MOST)},
    "S05": {"fewer ready": (less_ready, ALL), "p99 up": (up("p99", 1.2), MOST),
            "err up": (above("err", 0.02, 1), HALF)},
    "S06": {"p99 up": (lambda p: float(np.nanmax(p.after("p99"))) > 1.2 * p.before("p99"), HALF)},
    "S07": {"load up": (up("load", 1.5), ALL), "p99 up": (up("p99", 1.5), MOST)},
    "S08": {"load swings": (swings("load", 1.7), ALL), "p99 up": (up("p99", 1.15), MOST)},
    "S09": {"p99 up": (lambda p: float(np.nanmax(p.after("p99"))) > 1.5 * p.before("p99"), HALF),
            "goodput stays down after the trigger": (stuck, SOME)},
    "S10": {"fewer ready": (less_ready, ALL), "p99 up": (up("p99", 2.0), ALL),
            "load in a spike": (lambda p: float(np.nanmax(p.after("load"))) > 2 * p.before("load"),
                                MOST)},
    "S11": {"p50 up": (up("p50", 1.1), MOST), "rps flat":
            (lambda p: bool(np.ptp(p.true["demand"]) < 0.6 * p.true["demand"].mean()), ALL)},
    "S12": {"memory in a sawtooth": (sawtooth, MOST), "fewer ready": (less_ready, MOST)},
    "S13": {"err up": (above("err", 0.02), MOST), "one queue grows": (up("most_queue", 3.0), MOST),
            "an inference probe fails": (lambda p: p.trough("inference") == 0.0, ALL)},
    "S14": {"p50 up": (up("p50", 1.05), MOST), "p99 up": (up("p99", 1.1), HALF)},
    "S15": {"p99 up": (up("p99", 1.1), HALF)},
    "S16": {"err up": (above("err", 0.002), MOST), "p99 up": (up("p99", 1.1), MOST)},
    "S17": {"fewer ready": (less_ready, ALL), "p99 up": (up("p99", 1.3), MOST)},
    "S18": {"err up": (above("err", 0.02), MOST), "p50 up": (up("p50", 1.1), MOST)},
    "S19": {"err up": (above("err", 0.02), MOST), "p50 no worse":
            (lambda p: float(np.nanmedian(p.after("p50"))) <= 1.1 * p.before("p50"), MOST)},
    "S20": {"queue up": (up("queue", 3.0), MOST), "gpu no higher": (
        lambda p: float(np.nanmedian(p.after("gpu"))) < 1.15 * p.before("gpu"), MOST),
        "cpu up": (up("cpu", 1.5), MOST)},
    "S21": {"inputs shift": (above("inputs", 0.05, 8), HALF), "service flat": (flat("p99"), ALL)},
    "S22": {"inputs shift and return": (swings("inputs", 3.0), ALL), "accuracy flat":
            (lambda p: bool(np.ptp(p.true["quality"]) < 1e-4), ALL), "load moves along":
            (swings("load", 1.05), ALL)},
    "S23": {"predictions flat": (lambda p: p.peak("pred", 8) < 0.05, ALL),
            "accuracy falls": (missed(0.02), HALF), "service flat": (flat("p99"), ALL)},
    "S24": {"predictions shift": (above("pred", 0.1), MOST), "quality stays":
            (lambda p: bool(np.ptp(p.true["quality"]) < 1e-4), ALL)},
    "S25": {"err up": (above("err", 0.05), MOST), "inputs shift": (above("inputs", 0.1), MOST)},
    "S26": {"inputs shift": (above("inputs", 0.03), MOST), "err flat":
            (lambda p: p.peak("err") < 0.01, ALL), "p99 flat": (flat("p99"), ALL)},
    "S27": {"inputs shift": (above("inputs", 0.3), ALL), "accuracy falls": (missed(0.02), MOST)},
    "S28": {"inputs shift": (above("inputs", 0.03), HALF), "p99 flat": (flat("p99"), ALL)},
    "S29": {"predictions shift": (above("pred", 0.03), MOST), "accuracy falls":
            (missed(0.015), HALF), "p50 no worse":
            (lambda p: float(np.nanmedian(p.after("p50"))) <= 1.15 * p.before("p50"), ALL)},
    "S30": {"the slice alone falls": (slice_falls, MOST), "predictions flat":
            (lambda p: p.peak("pred", 8) < 0.1, MOST)},
    "S31": {"predictions shift": (above("pred", 0.05), MOST), "quality stays":
            (lambda p: bool(np.ptp(p.true["quality"]) < 1e-4), ALL)},
    "S32": {"invalid answers": (above("invalid", 0.01), ALL), "err flat":
            (lambda p: p.peak("err") < 0.02, MOST)},
    "S33": {"whole series are lost": (vanishes, MOST)},
    "S34": {"signals lag": (lags, MOST), "the processor freezes": (frozen_cpu, 0.3)},
    "S35": {"load grows without end": (up("load", 10.0), ALL), "p99 flat": (flat("p99"), ALL)},
    "S36": {"p50 scaled": (scaled("p50"), ALL), "memory scaled": (scaled("mem"), ALL),
            "cpu flat": (flat("cpu"), ALL)},
    "S37": {"replicas come and go":
            (lambda p: float(np.ptp(p.true["ready"].sum(axis=1)[p.onset:])) >= 1.0, MOST)},
    "S38": {"nobody acts, nothing happens": (flat("load"), ALL)},
    "S39": {"err up": (above("err", 0.02), ALL)},
    "S40": {"p99 up": (up("p99", 1.1), ALL)},
    "S41": {"load up": (up("load", 1.15), ALL), "p99 up": (up("p99", 1.2), MOST),
            "no more are ready":
            (lambda p: float(np.max(p.after("ready"))) <= p.before("ready"), ALL)},
    "S42": {"load falls": (down("load", 0.7), ALL), "and is back": (swings("load", 1.8), MOST)},
    "S43": {"p99 up for a moment":
            (lambda p: float(np.nanmax(p.after("p99"))) > 1.03 * p.before("p99"), MOST),
            "err flat": (lambda p: p.peak("err") < 0.005, ALL)},
}  # fmt: skip

# Share of the draws in which a promise is broken under HOLD, at least and at most.
BREACH: Final[Mapping[str, tuple[float, float]]] = {
    "S22": (0.0, 0.0), "S43": (0.0, 0.0),  # benign
    "S24": (0.0, 0.0), "S31": (0.0, 0.0),  # the model is right; scores mean something else
    "S30": (0.0, SOME),  # hidden in the mean of all users
    "S33": (0.0, 0.0), "S34": (0.0, 0.0), "S35": (0.0, 0.0), "S36": (0.0, 0.0),  # seen wrongly
    "S38": (0.0, 0.0),  # nobody to fight with
    "S03": (0.3, 0.9), "S06": (HALF, ALL), "S14": (0.25, ALL), "S15": (0.4, ALL),
    "S21": (0.05, HALF), "S26": (SOME, ALL), "S23": (0.4, ALL), "S28": (0.3, ALL),
    "S42": (0.0, HALF), "S29": (HALF, ALL), "S09": (0.3, ALL), "S13": (MOST, ALL),
    "S27": (HALF, ALL), "S11": (HALF, ALL), "S17": (MOST, ALL),
}  # fmt: skip
USUAL_BREACH: Final = (0.8, ALL)  # of the others
# Scenarios whose text warns of poor answers by holding: it must be able to happen.
HELD: Final = ("S23", "S27", "S28", "S29", "S30", "S32")
