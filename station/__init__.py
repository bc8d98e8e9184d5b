"""The inspection station: the daemon beside the line and its tools."""

__version__ = "0.1.0"
