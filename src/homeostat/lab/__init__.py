"""The simulated world: scenarios, judge, baselines, evaluation, training environment.

Pure and seeded; never imported by the server.
"""
