"""Public conformance kits and the fake clock, for plug-ins in and outside this repository."""
