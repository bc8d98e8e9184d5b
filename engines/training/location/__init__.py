"""Learns how a part is found in its picture; on the line `engines.location` does it."""
