"""Proofs about guard policies: parser, SMT terms, counterexamples, admission-policy export.

May read safety's syntax tree and nothing else above base. This room is empty until the prover
arrives.
"""
