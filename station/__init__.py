"""The inspection station: the daemon beside the line, and its tools.

              camera process            daemon: one named thread a stage
 trigger ──► exposure ──► frame ring ──► acquisition ─► signalling ──► inspection ──► signalling ─► recording
                          (shared         `Frame`        opens the      `Inspection`   closes the    `InspectionRecord`
                           memory)                       part                          part, signals rows, images, log
                                                                                       the PLC
                                                            └────────► ejection: the verdict at the ejector

results         what flows: Part, Frame, Scores, Measurement, Decision, InspectionRecord
codes           reason, error, warning and offline codes with their texts
control         the socket through which other processes ask the daemon
terminal        what commands show: every value is text, colours are ours
line            the way of a part, one room a stage
configuration   station.toml and recipes, typed
live            what the station shows right now, in memory, for the pages
records         what is on disk, and how to read it
daemon          starts, wires, watches, changes over and stops the stages
jobs            what takes minutes, in a process of its own
commissioning   everything before the line runs: checks, PLC client and monitor, conformance test
reports         what a person reads about a part
commands        `station ...`, a file a command
simulation      a simulated line that drives the real station

Which room may import which stands in pyproject.toml; why, in docs/decisions/0018-rooms.md.
"""

__version__ = "0.2.0"
"""The version of the package, too: pyproject.toml takes it from here."""
