"""The nouns, the ports, the errors and the units that every other room speaks in.

Frozen values and protocols of the standard library; this room imports nothing of ours and holds
no logic longer than an invariant. Start with `types`, which lists the nouns in the order in which
values flow.
"""
