"""From a fitted model to a graph that a runtime executes: export, half precision, checks against the model.

A graph that computes something else than the model is refused with the numbers; only the float32 graph is a must.
"""
