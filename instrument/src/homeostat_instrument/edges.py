"""Default bucket edges, and where their numbers come from."""

from typing import Final

# Seconds. Dense between 25 ms and 1 s, where the objectives of online models lie: a threshold
# inside a bucket wider than a factor of two cannot be judged from the histogram.
LATENCY_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75,
    1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

# Requests per batch: every size up to 8, then by factors near 1.5 up to 1,024.
BATCH: Final = (
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0,
    256.0, 512.0, 1024.0,
)  # fmt: skip

# A probability, in twentieths; a regression passes edges of its own.
PREDICTION: Final = tuple(k / 20 for k in range(1, 20))

# A mean activation of a normalised layer, in half units; a share, in tenths.
ACTIVATION: Final = tuple(k / 2 for k in range(-8, 9))
SHARE: Final = tuple(k / 10 for k in range(1, 10))
