"""For all tests."""

from hypothesis import settings

# How long an example takes is a matter of the machine, and of benchmarks.
settings.register_profile("station", deadline=None)
settings.load_profile("station")
