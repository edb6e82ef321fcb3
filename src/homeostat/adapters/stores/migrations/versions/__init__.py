"""One file a shape, oldest first."""
