"""Proofs about guard policies: parser, SMT terms, counterexamples, admission-policy export.

May read safety's syntax tree and its rules as data, and nothing else above base. The solver is an
extra (`homeostat[proof]`); the language itself (`lexer`, `parse`, `spelling`) needs nothing.
"""
