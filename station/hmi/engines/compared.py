"""A comparison of two engines as its file says it: of a refresh, beside the candidate, or made from the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from station.hmi.engines.versions import Row

OF_REFRESH = Path("refresh") / "comparison.json"
MAX_BYTES = 64 * 1024 * 1024
PICTURES = Path("refresh") / "changed"
MOST_SHOWN = 1000
"""As many as a refresh keeps pictures of; a browser fetches those that come into view."""
MAX_PICTURE_BYTES = 1 << 20


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Judged(_Loose):
    """A verdict with its score, 0 to 1."""

    verdict: str
    score: float | None


class Figures(_Loose):
    """One engine on the images."""

    engine_id: str
    good_failed: int
    good_in_review: int
    good: int
    labelled_good_failed: int
    labelled_good: int
    defective_passed: int
    defective: int
    auroc: float | None


class Changed(_Loose):
    """A part that the two judge differently."""

    part_id: str
    key: str
    group: str
    active: Judged
    candidate: Judged
    camera: str = ""

    @property
    def place(self) -> tuple[str, int] | None:
        """(session, acquisition id) of a part on record; None: an image of a folder."""
        session, _, number = self.key.rpartition("/")
        return (session, int(number)) if session and number.isascii() and number.isdecimal() else None

    @property
    def escapes(self) -> bool:
        """A labelled defect that would pass."""
        return self.group == "labelled defective" and self.candidate.verdict == "PASS"


class Comparison(_Loose):
    """The candidate beside the active engine, or the second beside the first."""

    held_out: dict[str, int]
    candidate: Figures
    active: Figures | None
    agreement: float | None
    rank_correlation: float | None
    changed: tuple[Changed, ...]
    notes: tuple[str, ...]

    @property
    def ways(self) -> Sequence[tuple[str, str, int]]:
        """(verdict before, verdict after, how many), most frequent first."""
        counts: dict[tuple[str, str], int] = {}
        for one in self.changed:
            way = (one.active.verdict, one.candidate.verdict)
            counts[way] = counts.get(way, 0) + 1
        return sorted(((*way, count) for way, count in counts.items()), key=lambda way: -way[2])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table of figures."""

    title: str
    """English."""
    values: tuple[str, ...]


def read_comparison(file: Path) -> Comparison | None:
    """None: there is none, or it cannot be read."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        return Comparison.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def of_refresh(row: Row) -> Comparison | None:
    """What the refresh that made this version has found."""
    return read_comparison(row.version.path / OF_REFRESH)


def pictures_of(row: Row) -> frozenset[int]:
    """The numbers of the changed parts whose picture lies beside this version."""
    folder = row.version.path / PICTURES
    return frozenset(int(file.stem) for file in folder.glob("*.jpg") if file.stem.isascii() and file.stem.isdecimal())


def picture_of(version: Path, number: int) -> bytes | None:
    """A picture of a changed part, JPEG; None: there is none."""
    file = version / PICTURES / f"{number:04d}.jpg"
    try:
        if file.is_symlink() or file.stat().st_size > MAX_PICTURE_BYTES:
            return None
        return file.read_bytes()
    except OSError:
        return None


def table_of(comparison: Comparison) -> list[Line]:
    """Figures of the one before, if any, and of the other."""
    engines = [one for one in (comparison.active, comparison.candidate) if one is not None]
    return [
        Line("Engine", tuple(one.engine_id[:12] for one in engines)),
        Line("Good parts rejected", tuple(_of(one.good_failed, one.good) for one in engines)),
        Line("of those labelled good", tuple(_of(one.labelled_good_failed, one.labelled_good) for one in engines)),
        Line("Good parts in review", tuple(_of(one.good_in_review, one.good) for one in engines)),
        Line("Labelled defects that pass", tuple(_of(one.defective_passed, one.defective) for one in engines)),
        Line("AUROC", tuple("–" if one.auroc is None else f"{one.auroc:.4f}" for one in engines)),
    ]


def _of(count: int, total: int) -> str:
    return f"{count} / {total} ({100 * count / total:.1f} %)" if total else "–"
