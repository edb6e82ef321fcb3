"""The adaptive layer's parts, measured: regret, safety, promotion, time (`python -m bandits`)."""
