"""Writes the generated parts of docs/: the configuration reference, the tables and diagrams of docs/plc.md."""
