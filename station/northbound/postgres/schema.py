"""The schema that the other side has to have: its version, and the script that a person runs there."""

from __future__ import annotations

from pathlib import Path

from station.codes import ReasonCode

SCHEMA = "station_fleet"
SCHEMA_VERSION = 1
HOW_TO_INSTALL = "station fleet schema | psql --dbname DATABASE"
FILE = Path(__file__).with_name("schema.sql")


def schema_text() -> str:
    """For psql: creates the schema, or brings its views and rights up to date; with what the codes mean."""
    rows = ",\n    ".join(f"({int(code)}, '{code.name}')" for code in ReasonCode)
    return (
        f"{FILE.read_text(encoding='utf-8')}\n"
        f"INSERT INTO {SCHEMA}.reasons (code, name) VALUES\n    {rows}\n"
        "ON CONFLICT (code) DO UPDATE SET name = excluded.name;\n"
        "COMMIT;\n"
    )
