"""From raw observations to aligned signals: counters to rates, buckets to quantiles, quality.

Knows about time, gaps, resets and absurd pages; knows nothing of limits, actions or policies.
A value that cannot be believed leaves this room as NaN with its reason, never as zero.
"""
