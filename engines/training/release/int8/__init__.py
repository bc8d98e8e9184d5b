"""The graph with its backbone in 8 bits."""
