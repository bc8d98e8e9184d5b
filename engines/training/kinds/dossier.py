"""The dossier of an engine whose kinds were learned anew: that of its teaching, and what was done with its kinds.

    dossier/kinds.json     each time that kinds were learned, oldest first
    dossier/kinds.npz      what they were fitted to, see `kept`

Everything else is as the teaching wrote it, but for the kinds and the hash of the graph in `dossier.json`, and the
sentence of the kinds in `dossier.html`.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from engines.bundle.files import DOSSIER_FOLDER, link_or_copy
from engines.bundle.kinds import KindsRecord, kinds_in_words
from engines.errors import TrainingError
from engines.training.kinds.kept import FILE, Kept, write_kept

ENTRIES_FILE = "kinds.json"
MAX_BYTES = 16 << 20
_DATA, _PAGE = "dossier.json", "dossier.html"
_SENTENCE = re.compile(r"<p>Kinds of defect: [^<]*</p>")
_PLACE = '<div id="kinds"></div>'
"""In pages of engines that were taught without kinds."""


class Entry(BaseModel):
    """One time that kinds were learned anew."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    created: str
    """UTC, with its Z."""
    from_engine_id: str
    """The engine that it was before."""
    scoring_sha256: str
    """Over everything that scores and maps come from: the same in both."""
    largest_difference: float
    """Of scores and maps, on golden images and sample."""
    record: KindsRecord
    labels: dict[str, int]
    """Images of each kind."""
    dropped: tuple[str, ...]


class _Entries(BaseModel):
    format_version: int = 1
    entries: tuple[Entry, ...] = ()


@contextmanager
def write_dossier(engine: Path, entry: Entry, model: bytes, kept: Kept, beside: Path) -> Iterator[Path]:
    """A folder, there while the context is open, for the engine that follows from the one in folder `engine`.

    It lies in the folder `beside`: files of the same file system are linked, not copied. Raises TrainingError: it
    cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".dossier-", dir=beside) as temporary:
        folder = Path(temporary) / DOSSIER_FOLDER
        try:
            before = engine / DOSSIER_FOLDER
            if before.is_dir():
                shutil.copytree(before, folder, copy_function=link_or_copy)
            else:
                folder.mkdir()
            entries = (*_entries(folder), entry)
            _replace(folder / ENTRIES_FILE, _Entries(entries=entries).model_dump_json(indent=1) + "\n")
            (folder / FILE).unlink(missing_ok=True)
            write_kept(folder / FILE, kept)
            _change_data(folder / _DATA, entry.record, model)
            _change_page(folder / _PAGE, entry.record)
        except OSError as problem:
            raise TrainingError(f'dossier "{folder}" cannot be written: {problem.strerror or problem}') from problem
        yield folder


def entries_of(engine: Path) -> tuple[Entry, ...]:
    """How often kinds of the engine in a folder were learned anew, oldest first; empty: never, or it cannot be read."""
    return _entries(engine / DOSSIER_FOLDER)


def _entries(folder: Path) -> tuple[Entry, ...]:
    try:
        file = folder / ENTRIES_FILE
        if file.is_symlink() or file.stat().st_size > MAX_BYTES:
            return ()
        return _Entries.model_validate_json(file.read_bytes()).entries
    except (OSError, ValidationError):
        return ()


def _change_data(file: Path, record: KindsRecord, model: bytes) -> None:
    """As the training wrote it, with these kinds; what cannot be read stays as it is."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(content, dict):
        content |= {"kinds": record.model_dump(mode="json"), "model_sha256": hashlib.sha256(model).hexdigest()}
        _replace(file, json.dumps(content, indent=1) + "\n")


def _change_page(file: Path, record: KindsRecord) -> None:
    """The sentence of the kinds; a page of older software that has none stays as it is."""
    try:
        page = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    sentence = f"<p>Kinds of defect: {html.escape(kinds_in_words(record))}.</p>"
    changed = _SENTENCE.sub(lambda _: sentence, page).replace(_PLACE, f'<div id="kinds">{sentence}</div>')
    if changed != page:
        _replace(file, changed)


def _replace(file: Path, text: str) -> None:
    """Never writes into a file that another engine has, too."""
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")
