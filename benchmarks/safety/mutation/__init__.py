"""Mutation testing of the guard kernel: which small change of it would no test of it notice?

Our own, because a mutant must cost tenths of a second: the kernel's functions are changed in a
fork of a pytest that has already collected the kernel's tests, and the tests that run the changed
line go first. `python -m safety.mutation --help` says how to run it.
"""
