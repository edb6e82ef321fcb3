"""Exhaustive search: two controllers, one journal, one target, and everything that may go wrong.

`parts` holds the real protocol, memoised; `rules` what the shell, the journal and the target keep;
`moves` every step that may come next; `search` walks them all, breadth first, so that the first
trace found is a shortest one. Only the world is a model: what a record does next is `advance`.
"""
