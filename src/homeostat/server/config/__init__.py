"""Configuration files: strict kinds, JSON Schema, errors that teach, last good kept."""
