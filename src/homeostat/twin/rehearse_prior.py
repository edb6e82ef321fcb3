"""The ranges a rehearsal draws from where neither the fit nor a person says.

Wide on purpose: a quantity nobody measured must not narrow an interval. A person narrows one with
`twin.assume` in the configuration. The load, the replicas and the service law have none: without
those there is no rehearsal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin.fit_frame import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A range in which something lies that nobody has measured.

    Attributes:
        low: Lower end.
        high: Upper end; the same as the lower one for a number that a person stated.
        log: Even on a log scale.
        meaning: One phrase for people, with the unit.
        source: Where the range comes from.
    """

    low: float
    high: float
    meaning: str
    source: str
    log: bool = False

    def draw(self, share: Floats) -> Floats:
        """Return values for uniform draws [D]."""
        if self.log and self.low > 0.0:
            return np.asarray(self.low * (self.high / self.low) ** share)
        return np.asarray(self.low + (self.high - self.low) * share)


_USERS: Final = "wide: clients of HTTP services, from 1 s to gRPC's and browsers' tens of seconds"
_STARTS: Final = "Alibaba GenTD26: load times p50 22.7 s, p95 45.4 s; machines up to minutes"
_COLD: Final = "new replicas serve at 0.2 to 0.7 of their speed for 20 to 180 s (GenTD26)"
_LOAD: Final = "web and LLM traces over minutes: log deviation 0.02 to 0.2 around the trend"

PRIORS: Final[Mapping[str, Prior]] = {
    "timeout_s": Prior(low=1, high=30, log=True, meaning="before giving up, s", source=_USERS),
    "retries": Prior(low=0, high=2, meaning="attempts after the first", source=_USERS),
    "backoff_s": Prior(low=0.5, high=4, log=True, meaning="wait before them, s", source=_USERS),
    "cancel": Prior(low=0, high=1, meaning="share of given-up work dropped", source=_USERS),
    "least_loaded": Prior(
        low=0, high=1, meaning="0 = random replica, 1 = least loaded", source=_USERS
    ),
    "sticky": Prior(low=0, high=0.3, meaning="share following weights slowly", source=_USERS),
    "provision_s": Prior(
        low=20, high=180, log=True, meaning="until a machine is there, s", source=_STARTS
    ),
    "load_s": Prior(low=10, high=60, log=True, meaning="to load the model, s", source=_STARTS),
    "warm_s": Prior(low=20, high=180, log=True, meaning="at reduced speed, s", source=_COLD),
    "cold_speed": Prior(low=0.2, high=0.9, meaning="speed in that time", source=_COLD),
    "write_s": Prior(low=0.5, high=5, log=True, meaning="a write takes effect, s", source=_STARTS),
    "network_s": Prior(
        low=0.0003, high=0.002, log=True, meaning="round trip, s", source="one data centre"
    ),
    "cv2": Prior(
        low=0.03, high=3, log=True, meaning="squared variation of the service time",
        source="most services, from fixed work to twice an exponential's variation",
    ),
    "b_service_ratio": Prior(
        low=0.8, high=1.25, log=True, meaning="service time of the fallback pool / of the stable",
        source="two versions of one model on equal machines",
    ),
    "ou_sd": Prior(low=0.02, high=0.2, log=True, meaning="deviation of the load", source=_LOAD),
    "ou_tau_s": Prior(low=30, high=600, log=True, meaning="its correlation time, s", source=_LOAD),
}  # fmt: skip
