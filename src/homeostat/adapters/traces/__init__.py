"""Where spans are sent."""
