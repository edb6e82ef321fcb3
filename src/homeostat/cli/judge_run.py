"""What `homeostat judge --input FILE` does: plays the file, prints the verdict, draws it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.canary import (
    ERRORS,
    CanaryConfig,
    CanaryJudgement,
    CanaryMetric,
    CanaryVerdict,
)
from homeostat.base.errors import ConfigError
from homeostat.base.units import ns, seconds
from homeostat.cli.detect_layout import EmptyError
from homeostat.cli.exits import Exit
from homeostat.cli.judge_prometheus import Far, far_counters
from homeostat.cli.judge_read import Recorded, counters, pods
from homeostat.cli.output import Output, show, tell
from homeostat.govern import canary, canary_margin
from homeostat.govern.canary_words import plain

_EXITS: Final = {
    CanaryVerdict.HARM: Exit.UNHEALTHY,
    CanaryVerdict.CERTIFIED: Exit.OK,
    CanaryVerdict.UNDECIDED: Exit.OK,
    CanaryVerdict.NO_EVIDENCE: Exit.NO_DATA,
    CanaryVerdict.DEADLINE: Exit.NEEDS_APPROVAL,
}
_CHANCE: Final = 1  # of the choice among too many ways to choose pods: the same answer each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person wants to know.

    Attributes:
        alpha: Chance of a wrong verdict.
        margin: Of the errors.
        slow_margin: Of histograms.
        below: What the certificate says; None for no certificate.
        bucket_s: Seconds of one bet.
        missing: Buckets without the canary.
        deadline_s: Until the certificate.
        pods: Of the canary.
        calibration: Earlier stable pods.
        only_certified: Undecided is not good enough.
    """

    alpha: float
    margin: float
    slow_margin: float
    below: float | None
    bucket_s: float
    missing: int
    deadline_s: float
    pods: int | None
    calibration: Path | None
    only_certified: bool

    def config(self, recorded: Recorded | None) -> CanaryConfig:
        """Return the judge's configuration.

        Raises:
            ConfigError: An option is out of range.
        """
        try:
            slow = [
                CanaryMetric(name=name, margin=self.slow_margin, bounds=bounds)
                for name, bounds in (recorded.bounds.items() if recorded else ())
            ]
            errors = CanaryMetric(name=ERRORS, margin=self.margin, promote_ratio=self.below)
            config = CanaryConfig(
                alpha=self.alpha,
                metrics=(errors, *slow),
                bucket_ns=ns(self.bucket_s),
                missing_buckets=self.missing,
                deadline_ns=ns(self.deadline_s),
                pods=self.pods,
            )
            return self._calibrated(config)
        except (ValueError, OverflowError) as error:
            raise ConfigError(str(error)) from None

    def _calibrated(self, config: CanaryConfig) -> CanaryConfig:
        if self.calibration is None:
            return config
        import numpy as np

        found = canary_margin.measure(
            pods(self.calibration), self.pods or 1, np.random.default_rng(_CHANCE)
        )
        tell(f"{self.calibration}: {found.why}")
        return canary_margin.apply(config, found)


def judge(
    source: Path | None, asked: Asked, plot: Path | None, output: Output, far: Far | None = None
) -> Exit:
    """Judge a file, or what a Prometheus holds, and print the verdict; returns the exit code.

    Raises:
        ConfigError: Nothing to judge, both, or an option that is out of range.
    """
    if (source is None) == (far is None):
        raise ConfigError(
            "homeostat judge needs one of --input FILE and --prometheus URL, or --plan with "
            "--requests and --bad"
        )
    try:
        recorded = counters(source) if source is not None else far_counters(far)
    except EmptyError as error:
        tell(f"homeostat: {error}")
        return Exit.NO_DATA
    config = asked.config(recorded)
    said = play(recorded, config)
    last = said[-1]
    began = seconds(recorded.began)
    show(_plain(said, began) if output is not Output.TABLE else _rows(last), output)
    if output is Output.TABLE:
        for line in (*last.because, *last.caveats):
            tell(line)
    if plot is not None:
        from homeostat.cli import judge_picture

        judge_picture.write(plot, said, began)
    if last.buckets == 0 and last.verdict is CanaryVerdict.UNDECIDED:
        tell("homeostat: in no bucket were both arms seen; nothing was compared")
        return Exit.NO_DATA
    if asked.only_certified and last.verdict is CanaryVerdict.UNDECIDED:
        return Exit.NO_DATA
    return _EXITS[last.verdict]


def play(recorded: Recorded, config: CanaryConfig) -> list[CanaryJudgement]:
    """Return what is known after each reading but the first."""
    state, said = canary.init(config), []
    for one in recorded.counts:
        state, judged = canary.step(state, one, config)
        said.append(judged)
    return said


def _plain(said: list[CanaryJudgement], began_s: float) -> dict[str, Any]:
    last = said[-1]
    first = next(judged for judged in said if judged.verdict is last.verdict)
    return {
        **plain(last),
        "minutes": (seconds(last.at) - began_s) / 60.0,
        "since_minute": (seconds(first.at) - began_s) / 60.0,
    }


def _rows(last: CanaryJudgement) -> list[dict[str, Any]]:
    return [
        {
            "verdict": last.verdict.value,
            "metric": one.metric,
            "harm_e": one.harm_e,
            "certificate_e": one.safe_e,
            "needed": last.threshold,
            "ratio": one.ratio,
            "margin": one.margin,
            "canary": f"{one.canary_bad:.0f} of {one.canary_total:.0f}",
            "stable": f"{one.stable_bad:.0f} of {one.stable_total:.0f}",
        }
        for one in last.metrics
    ]
