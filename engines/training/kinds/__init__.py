"""Kinds of defects: fitted from a few labelled images, and learned anew in seconds from an engine's own graph.

    labelled images ─► looks (the graph, cut off where it has them) ─► fit ─► graph (the same, with other kinds)

Teaching fits kinds with the same `fit`. Nothing here loads PyTorch, and nothing here can change a verdict: what scores
and maps come from is copied byte for byte, and checked.
"""
