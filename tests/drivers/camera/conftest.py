"""The cameras of these tests."""

from tests.bench.cameras import folder, scene

__all__ = ["folder", "scene"]
