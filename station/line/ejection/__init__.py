"""Tracks a part to its ejector and tells it to push."""
