"""Parts of which a camera's picture is kept, to draw on."""

from __future__ import annotations

from station.hmi.site import Site
from station.records.parts import PartRow
from station.records.selection import Selection, page_of
from station.results import Verdict

LOOKED_AT = 200
SHOWN = 12


def recent_with_picture(site: Site, camera: str) -> list[PartRow]:
    """The newest ones, newest first; good ones, of which only a sample is kept, among them. Raises RecordingError."""
    passed = Selection(verdicts=(Verdict.PASS,))
    others = Selection(verdicts=(Verdict.REVIEW, Verdict.FAIL))
    with site.reading() as connection:
        found = [row for one in (passed, others) for _, row in page_of(connection, one, LOOKED_AT)]
    seen = [row for row in found if any(view.camera == camera and view.image_path for view in row.views)]
    good = [row for row in seen if row.verdict == Verdict.PASS.name][: SHOWN // 2]
    other = [row for row in seen if row.verdict != Verdict.PASS.name][: SHOWN - len(good)]
    return sorted([*good, *other], key=lambda row: -row.wall_time)
