"""Detectors: what is abnormal, one file a method, batched over series, and the first diagnosis.

Each detector takes `xp` (NumPy live, jax.numpy in training), is causal, and answers unknown for a
gap. Nothing here sees actions, costs or policies, or reads a clock.
"""
