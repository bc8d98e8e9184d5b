"""Mutated input for everything that comes from outside: `python -m benchmarks.fuzz`."""
