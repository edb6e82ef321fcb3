"""Notifiers: tell people, in the terminal or by webhook."""
