"""Taking removals back: a text file with one image name per line, used with `--veto FILE`.

File names are anything but tame, so a dossier spells them all by `plain_name`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from engines.training.dossier.schema import Dossier
from engines.training.errors import TrainingError
from engines.training.plain import plain_name

COMMENT = "#"
MAX_VETO_BYTES = 16 << 20
MAX_LISTED = 10


def read_veto(file: Path, names: Sequence[str]) -> frozenset[int]:
    """Positions in `names` (file names as they are) of the images that `file` lists.

    Blank lines and lines that begin with `#` are skipped.

    Raises:
        TrainingError: the file cannot be read or names an image that is not in the data set.
    """
    try:
        if file.stat().st_size > MAX_VETO_BYTES:
            raise TrainingError(f'veto file "{file}": {file.stat().st_size} bytes, at most {MAX_VETO_BYTES}')
        lines = [line.strip() for line in file.read_text("utf-8-sig").split("\n")]
    except OSError as error:
        raise TrainingError(f'veto file "{file}": {error.strerror}; expected one image name per line') from error
    except UnicodeDecodeError as error:
        raise TrainingError(f'veto file "{file}": not UTF-8 text ({error.reason}); save it as UTF-8') from error
    positions: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        positions[plain_name(name)].append(position)
    wanted = [line for line in lines if line and not line.startswith(COMMENT)]
    unknown = [line for line in wanted if line not in positions]
    if unknown:
        more = f" and {len(unknown) - MAX_LISTED} more" if len(unknown) > MAX_LISTED else ""
        raise TrainingError(
            f'veto file "{file}": no image of the data set is called {", ".join(map(ascii, unknown[:MAX_LISTED]))}'
            f"{more}; write names as the dossier spells them, one per line"
        )
    return frozenset(position for line in wanted for position in positions[line])


def removed_text(dossier: Dossier) -> str:
    """A veto file in which every removed image is a comment, to be edited by hand."""
    lines = [
        f"{COMMENT} Images that refinement removed. Delete the {COMMENT} in front of those that are good parts, then",
        f'{COMMENT} run the training again with "--veto removed.txt" (see dossier.html for the whole command).',
        "",
    ]
    known_good = dossier.refinement.known_good
    if known_good:
        lines += [f"{COMMENT} {COMMENT} known good in this training; keep them", ""]
        lines += [dossier.images[image].name for image in known_good]
        lines.append("")
    for image in dossier.refinement.removed:
        record = dossier.images[image]
        if record.removed_in_round is None:
            why = "known bad"
        else:
            why = f"round {record.removed_in_round}, score {record.removal_shown:.3f}"
        lines += [f"{COMMENT} {COMMENT} {why}", f"{COMMENT}{record.name}"]
    return "\n".join(lines) + "\n"
