"""What the simulated PLC drives: belt, light barrier, ejector, and the PLC itself."""
