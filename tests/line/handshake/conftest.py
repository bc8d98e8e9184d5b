"""The handshake of these tests."""

from tests.line.handshake.handshake_bench import bench

__all__ = ["bench"]
