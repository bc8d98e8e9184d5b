"""Everything before the line runs: checks, a PLC client and monitor, the conformance test."""
