"""The way of a part: one room a stage, one thread a stage."""
