"""Starts, wires, supervises, changes over and stops the stages of the line."""
