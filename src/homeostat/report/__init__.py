"""Values to HTML and SVG strings. Pure; the console, the CLI and the lab write what it returns."""
