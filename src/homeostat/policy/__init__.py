"""Layer 2, choosing inside the safe set: the runbook, and later the bandit and PPO.

Policies rank members of a safe set; they cannot name an action outside it and cannot change limits.
"""
