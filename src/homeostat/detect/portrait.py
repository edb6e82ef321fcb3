"""A deployment's readings as columns that stay while its replicas come and go.

A model of several columns is learnt once and judges for weeks, and replicas have other names after
every rollout. So what the gateway and the model show is taken as it is, and of the replicas the
mean and the largest of each signal. Charted signals only (`layout.CHARTED`); pools are left out,
for a canary's is there some days and not on others. What is not known is NaN, and no mean of
nothing.
"""

import math
from collections.abc import Iterable
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Reading
from homeostat.detect.layout import CHARTED

REPLICAS: Final = "replicas"
_REPLICA: Final = names.replica("")
_WHOLE: Final = frozenset({names.GATEWAY, names.MODEL})


def portrait(readings: Iterable[Reading]) -> dict[str, float]:
    """Return the columns of one tick by name.

    Args:
        readings: Every judged series of one deployment.

    Returns:
        `gateway SIGNAL`, `model SIGNAL`, `replicas SIGNAL mean` and `replicas SIGNAL most`; NaN for
        what is not known.
    """
    out: dict[str, float] = {}
    replicas: dict[str, list[float]] = {}
    for one in readings:
        if one.signal not in CHARTED:
            continue
        if one.subject in _WHOLE:
            out[f"{one.subject} {one.signal}"] = math.nan if one.value is None else one.value
        elif one.subject.startswith(_REPLICA):
            known = replicas.setdefault(one.signal, [])
            if one.value is not None:
                known.append(one.value)
    for signal, known in replicas.items():
        mean, most = (sum(known) / len(known), max(known)) if known else (math.nan, math.nan)
        out[f"{REPLICAS} {signal} mean"], out[f"{REPLICAS} {signal} most"] = mean, most
    return dict(sorted(out.items()))
