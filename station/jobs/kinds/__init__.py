"""Kinds of defects learned anew, in seconds: the labelled parts on record, a process without PyTorch, a candidate.

It activates nothing, and what it makes judges every part as the active engine does: only what rejects are called is
new.
"""
