"""Replay of recorded history through the same senses and the same decisions, in shadow."""
