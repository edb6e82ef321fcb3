"""The traffic that canaries are judged in: seven settings of detection, six families of no harm.

Base: 0.5 % bad, shocks that both arms share (sd 0.6 of the logarithm, fading by a tenth a minute),
an hour of minutes. A burst is eight bad responses of one incident on average.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from homeostat.stats.share_bet_runs import Law

MINUTES: Final = 60
RAMP: Final = (0.01, 0.05, 0.1, 0.25, 0.5)
RATIOS: Final = (1.0, 1.5, 2.0, 3.0, 5.0)
ALPHAS: Final = (0.01, 0.05, 0.1)

_SMALL: Final = Law(requests=1000.0)
_LARGE: Final = Law(requests=10_000.0)
SETTINGS: Final = MappingProxyType({
    "1,000/min, 10 %": _SMALL,
    "1,000/min, 10 %, bursts": replace(_SMALL, burst=8.0),
    "10,000/min, 10 %": _LARGE,
    "10,000/min, 10 %, bursts": replace(_LARGE, burst=8.0),
    "10,000/min, ramp 1-5-10-25-50 %": replace(_LARGE, ramp=RAMP),
    "10,000/min, ramp, bursts": replace(_LARGE, ramp=RAMP, burst=8.0),
    "200/min, 10 %": Law(requests=200.0),
})
"""Where harm is to be found."""

FAMILIES: Final = MappingProxyType({
    "independent": replace(_LARGE, shock_sd=0.0),
    "autocorrelated shocks": replace(_LARGE, shock_sd=1.0),
    "bursts": replace(_LARGE, burst=8.0),
    "overdispersed pods": replace(_LARGE, noise_sd=0.5),
    "a rhythm of load and rate": replace(_LARGE, rhythm=0.8),
    "ramp, bursts, few requests": replace(_SMALL, ramp=RAMP, burst=8.0),
})
"""Where there is none: the ratio is exactly what is allowed."""

UNCOVERED: Final = MappingProxyType({
    "each arm jumps by itself, sd 0.2": replace(_LARGE, arm_sd=0.2),
    "each arm jumps by itself, sd 0.5": replace(_LARGE, arm_sd=0.5),
    "one pod that differs, sd 0.6": replace(_LARGE, pod_sd=0.6, pods=(1, 9)),
})
"""What the bets do not allow for, to know how wrong they are then."""
