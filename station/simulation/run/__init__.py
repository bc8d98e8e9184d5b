"""Runs a simulated line with a real station: processes, workspace, demo."""
