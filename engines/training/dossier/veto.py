"""Taking removals back: a text file with one image name per line, used with `--veto FILE`, see `read_names`.

File names are anything but tame, so a dossier spells them all by `plain_name`.
"""

from __future__ import annotations

from engines.training.dossier.schema import Dossier
from engines.training.images.image_names import COMMENT


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
    group_of = {image: group for group, images in enumerate(dossier.refinement.variants, start=1) for image in images}
    for image in dossier.refinement.removed:
        record = dossier.images[image]
        if record.removed_in_round is None:
            why = "known bad"
        else:
            why = f"round {record.removed_in_round}, score {record.removal_shown:.3f}"
        alike = f", looks like the others of group {group_of[image]}" if image in group_of else ""
        lines += [f"{COMMENT} {COMMENT} {why}{alike}", f"{COMMENT}{record.name}"]
    return "\n".join(lines) + "\n"
