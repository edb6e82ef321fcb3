"""Layer 1, deterministic safety: the guard rules and the only maker of safe sets.

Standard library only, small and total: rules are a syntax tree, closures are compiled from it, and
`permit` returns what is allowed together with every reason for what is not. Doubt never allows
more.
"""
