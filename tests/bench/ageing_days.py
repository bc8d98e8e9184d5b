"""Records of a month in which the lamp loses light from day to day: for whatever looks for trends in a real station."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from station.records.schema import DATABASE_FILE, open_writer
from tests.bench.many_parts import fill

PARTS_A_DAY = 32
DAY_S = 86_400.0


def write_ageing_days(records: Path, days: int = 30, a_day: float = 0.8) -> None:
    """`a_day`: grey levels that the pictures lose each day, from 120 on; 0: a lamp that stays as it is."""
    fill(records, days * PARTS_A_DAY)
    first = (time.time() // DAY_S - days) * DAY_S
    with closing(open_writer(records / DATABASE_FILE)) as connection:
        at = "? + (id - 1) / ? * ? + id % ?"
        of_days = f"UPDATE parts SET recipe = 'default', challenge = NULL, wall_time = {at}"
        connection.execute(of_days, (first, PARTS_A_DAY, DAY_S, PARTS_A_DAY))
        dimmed = "UPDATE views SET mean_grey = 120 - (part - 1) / ? * ? + part % 3 * 0.1"
        connection.execute(dimmed, (PARTS_A_DAY, a_day))
        connection.execute("UPDATE views SET sharpness = 0.03 * mean_grey * mean_grey")
