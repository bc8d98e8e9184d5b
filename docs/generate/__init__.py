"""Writes what is generated in docs/: configuration.md, the tables and timing diagrams of plc.md, rooms and threads.

`python -m docs.generate` writes what is stale, `--check` only names it.
"""
