"""The simulated world: scenarios, judge, baselines, evaluation, training environment.

Pure and seeded; never imported by the server. This room is empty until the twin arrives.
"""
