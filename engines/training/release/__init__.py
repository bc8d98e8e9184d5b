"""From a fitted model to a graph that a runtime executes: export, half precision, checks against the model."""
