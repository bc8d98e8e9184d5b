"""Files that name images, one per line: known-good ones, known-bad ones, removals taken back.

Behind a tab may stand what kind of defect an image shows.

File names are anything but tame, so they are spelled by `plain_name`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from engines.errors import TrainingError
from engines.text_file import text_of
from engines.training.as_json import plain_name

COMMENT = "#"
MAX_BYTES = 16 << 20
MAX_LISTED = 10
MAX_KIND = 64
"""Letters of the name of a kind of defect."""


def read_names(file: Path, names: Sequence[str], what: str) -> frozenset[int]:
    """Positions in `names` of the images that `file` lists. See `read_kinds`."""
    return frozenset(read_kinds(file, names, what))


def read_kinds(file: Path, names: Sequence[str], what: str) -> dict[int, str]:
    """Positions in `names` (file names as they are) of the images that `file` lists, with the kind of their defect.

    A kind is what stands behind a tab; "" where nothing does.

    Blank lines and lines that begin with `#` are skipped.

    Raises:
        TrainingError: the file cannot be read or names an image that is not in the data set.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise TrainingError(f'{what} "{file}": {file.stat().st_size} bytes, at most {MAX_BYTES}')
        rows = [line.strip().partition("\t") for line in text_of(file.read_bytes()).split("\n")]
    except OSError as error:
        raise TrainingError(f'{what} "{file}": {error.strerror}; expected one image name per line') from error
    except UnicodeDecodeError as error:
        raise TrainingError(f'{what} "{file}": not UTF-8 text ({error.reason}); save it as UTF-8') from error
    positions: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        positions[plain_name(name)].append(position)
    wanted = {name.strip(): kind.strip() for name, _, kind in rows if name and not name.startswith(COMMENT)}
    unknown = [name for name in wanted if name not in positions]
    if unknown:
        more = f" and {len(unknown) - MAX_LISTED} more" if len(unknown) > MAX_LISTED else ""
        raise TrainingError(
            f'{what} "{file}": no image of the data set is called {", ".join(map(ascii, unknown[:MAX_LISTED]))}'
            f"{more}; write names as the dossier spells them, one per line"
        )
    strange = [kind for kind in wanted.values() if len(kind) > MAX_KIND or not kind.isprintable()]
    if strange:
        raise TrainingError(
            f'{what} "{file}": kind {strange[0]!a:.80}: one line of at most {MAX_KIND} letters is allowed'
        )
    return {position: kind for name, kind in wanted.items() for position in positions[name]}
