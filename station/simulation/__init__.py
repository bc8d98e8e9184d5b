"""A simulated production line (conveyor, light barrier, PLC, ejector) that drives the real station."""
