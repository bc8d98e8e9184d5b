"""The models, each readable next to its paper."""
