"""The cameras of these tests, and the inbox to which acquisition posts."""

from tests.bench.cameras import folder, scene
from tests.line.acquisition.acquisition_bench import inbox

__all__ = ["folder", "inbox", "scene"]
