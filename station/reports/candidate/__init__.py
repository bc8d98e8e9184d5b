"""Whether a candidate may take the place of the active engine: what both said of the same parts, and what labels say.

`records.shadows` ─► `shadowed`: pairs of verdicts, labels of those that differ ─► `e_values`: was enough seen?
"""
