"""What goes wrong with the database. Apart from the connection: commands know it where psycopg is not installed."""

from __future__ import annotations


class Trouble(Exception):
    """Nothing of it was taken; the message says why and what to do."""


class Refused(Trouble):
    """The server takes all but what this batch holds."""
