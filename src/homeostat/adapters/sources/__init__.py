"""Sources: read one outside system and report what it said, with its quality."""
