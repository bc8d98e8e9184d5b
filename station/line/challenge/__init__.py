"""The challenge test with master parts: pure, owned by signalling."""
