"""Share betting: is the canary's share of bad events larger than its share of traffic explains?

In every bucket of time both arms have n_c and n_s responses, of which k_c and k_s are bad. If the
canary's bad ratio is at most `ratio` times stable's, its share of all bad ones is on average, given
the past and K = k_c + k_s, at most

    w = ratio n_c / (ratio n_c + n_s)

whatever else befalls both (a shock to all, a day's rhythm, an outage upstream): it cancels. So the
bet 1 + (g / w) (k_c / K - w) is fair or worse, for every stake g < 1 chosen before, and money won
is evidence. The mean over a grid of stakes passes 1 / alpha with chance at most alpha, at whatever
moment somebody looks (Ville's inequality). Weights may change between buckets: a ramp is one test.
Nothing is assumed of the counts inside a bucket but that mean: bursts are one bet, not many. What
differs between the arms for hours without being the version (a bad node) is not covered; see
`margin`.

The reverse bet, on a share that is smaller, is a certificate that the ratio is below `ratio`.

Source: betting as in Waudby-Smith & Ramdas, JRSS B 86 (2024), 1-27; Ville (1939). The grid:
constant stakes find few events early, those that grow with sqrt(K) many. NumPy, batched over rows.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CONSTANT: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_ROOT: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
# One bet never loses all: evidence against must stay possible to win back.
_MOST: Final = 0.98
STAKES: Final = len(_CONSTANT) + len(_ROOT)
"""How many stakes there are."""
# What each has at the start, in parts: any money is fair. Small stakes find harm that doubles a
# rare error, large ones make a certificate of what does not happen. Against equal money, in 1,500
# runs of one seed at 1,000 requests a minute: twice the errors found in 90 instead of 87 % of the
# hours, a certificate below two in 59 instead of 40 %.
_HARM_MONEY: Final = (0.5, 1.0, 2.0, 2.0, 1.0, 0.5, 0.5, 0.5, 1.0, 3.0, 3.0, 1.0)
_SAFE_MONEY: Final = (0.5, 0.5, 0.5, 0.5, 1.0, 2.0, 3.0, 0.5, 0.5, 1.0, 2.0, 3.0)


def null_share(canary: Floats, stable: Floats, ratio: Floats | float) -> Floats:
    """Return the canary's share of bad events when its ratio to stable is `ratio`, `[row]`.

    Args:
        canary: Responses of the canary, 0 or more, `[row]`.
        stable: Responses of stable, `[row]`.
        ratio: Above 0.

    Returns:
        In 0..1; NaN where one arm has none: there is nothing to compare.

    >>> null_share(np.array([100.0]), np.array([900.0]), 1.0).tolist()
    [0.1]
    """
    known = (canary > 0.0) & (stable > 0.0)
    part = ratio * np.where(known, canary, 1.0)
    out: Floats = np.where(known, part / (part + np.where(known, stable, 1.0)), np.nan)
    return out


def stakes(events: Floats) -> Floats:
    """Return the share of its money that each stake risks, `[stake, row]`.

    Args:
        events: K, bad events of both arms, `[row]`.
    """
    constant = np.broadcast_to(np.array(_CONSTANT)[:, None], (len(_CONSTANT), len(events)))
    root = np.minimum(np.array(_ROOT)[:, None] * np.sqrt(events), _MOST)
    return np.concatenate([constant, root])


def ln_bets(canary_bad: Floats, stable_bad: Floats, share: Floats, *, safe: bool = False) -> Floats:
    """Return ln of what one unit of each stake became in one bucket, `[stake, row]`.

    Args:
        canary_bad: k_c, `[row]`.
        stable_bad: k_s, `[row]`.
        share: From `null_share`, `[row]`.
        safe: Bet on a smaller share (the certificate) instead of a larger one (harm).

    Returns:
        0 (no bet) where there were no bad events, or a share or a count is NaN.
    """
    events = canary_bad + stable_bad
    known = np.isfinite(share) & np.isfinite(events) & (events > 0.0)
    w = np.where(known, share, 0.5)
    every = np.where(known, events, 1.0)
    x = np.where(known, canary_bad, 0.5) / every
    gain = (w - x) / (1.0 - w) if safe else (x - w) / w
    out: Floats = np.where(known, np.log1p(stakes(every) * gain), 0.0)
    return out


def ln_mean(ln_won: Floats, *, safe: bool = False) -> Floats:
    """Return ln of the mean over the stakes' money, `[row]`; no overflow at any length.

    Added one by one: the sum of a row must not depend on how many rows there are.

    Args:
        ln_won: ln of what one unit of each stake has become, `[stake, row]`.
        safe: Of bets on the certificate.
    """
    money = _SAFE_MONEY if safe else _HARM_MONEY
    most = ln_won.max(axis=0)
    total = np.zeros_like(most)
    for part, one in zip(money, ln_won, strict=True):
        total = total + part * np.exp(one - most)
    out: Floats = most + np.log(total / sum(money))
    return out
