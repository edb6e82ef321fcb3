"""Stores: the append-only, hash-chained journal."""
