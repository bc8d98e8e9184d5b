"""A station through a seeded schedule of faults: `python -m benchmarks.chaos`."""
