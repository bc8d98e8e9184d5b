"""Fits the weights of a detector, also on parts of the images so that each is scored by a model that did not see it."""
