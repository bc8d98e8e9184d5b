"""`dossier.html`: one page without a network. Everything that comes from outside goes through Jinja's escaping."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping

from engines.bundle.detection import CONTRASTS, PLURALS, DefectKind, Detection
from engines.bundle.kinds import kinds_in_words
from engines.bundle.known_defects import said_of, suspects_in_words
from engines.bundle.reviews import advice, counted, price_header, price_rows
from engines.training.dossier.schema import Dossier
from engines.training.dossier.selection import ShownImages
from engines.training.dossier.verdict import first_words
from engines.training.pages import look

LOCATION_PICTURE = "pictures/location.jpg"
LEGEND_PICTURE = "plots/legend.jpg"


def render(
    dossier: Dossier,
    selection: ShownImages,
    plots: Mapping[str, str],
    with_map: Collection[int],
    *,
    with_location_sheet: bool,
    defects: Mapping[str, str],
) -> str:
    """The page.

    Args:
        plots: name -> file in `plots/`.
        with_map: ids of the images that have a map picture.
        defects: picture of a synthetic defect, from the dossier's folder -> its caption.
    """
    refinement, reviews = dossier.refinement, dossier.reviews
    values = {
        "dossier": dossier,
        "first": first_words(dossier),
        "images": dossier.images,
        "refinement": refinement,
        "selection": selection,
        "calibration": dossier.calibration.model_dump(mode="json", exclude={"promise"}),
        "suspects": suspects_in_words(dossier.suspects) if dossier.suspects else "",
        "known_defects": said_of(dossier.known_defects) if dossier.known_defects else "",
        "kinds": kinds_in_words(dossier.kinds) if dossier.kinds else "",
        "counted": counted(reviews) if reviews else "",
        "price_header": price_header(reviews) if reviews else (),
        "price_rows": price_rows(reviews) if reviews else (),
        "advice": advice(reviews) if reviews else "",
        "plots": {"convergence": None, "scores": None, **plots},
        "with_map": with_map,
        "defects": defects,
        "location_picture": LOCATION_PICTURE if with_location_sheet else None,
        "legend_picture": LEGEND_PICTURE,
        "picture": picture_path,
        "map_picture": map_path,
        "masked_count": sum(image.masked_share > 0 and image.fate == "kept" for image in dossier.images),
        "protected_count": sum(image.protected for image in dossier.images),
        "veto_start": "".join(f"{dossier.images[image].name}\n" for image in refinement.known_good),
        "command": f"{shlex.join(dossier.command)} --veto veto.txt",
        "command_keep": f"{shlex.join(dossier.command)} --variants keep",
        "found_columns": list(CONTRASTS),
        "found_rows": _found_rows(dossier.detection),
        "took": _duration(dossier.duration_s),
    }
    scripts = ("veto.js",) if refinement.removed else ()
    return look.render("engines.training.dossier", "dossier.html.j2", values, scripts=scripts)


def _found_rows(detection: Detection | None) -> list[tuple[str, list[str]]]:
    """A kind of defect, and from which size on it is found, clear and faint."""
    if detection is None:
        return []
    found = {name: {each.kind: each.review.from_px for each in detection.of(name)} for name in CONTRASTS}
    kinds = list(dict.fromkeys(each.kind for each in detection.curves))
    return [(PLURALS[kind], [_size(detection, found[name], kind) for name in CONTRASTS]) for kind in kinds]


def _size(detection: Detection, found: Mapping[DefectKind, float | None], kind: DefectKind) -> str:
    if kind not in found:
        return "not tried"
    size_px = found[kind]
    if size_px is None:
        return f"not found (up to {detection.shown(detection.largest_px)})"
    return f"from {detection.shown(size_px)}"


def picture_path(image: int) -> str:
    """Of the picture, from the dossier's folder; never from a file name."""
    return f"pictures/{image:06}.jpg"


def defect_path(number: int) -> str:
    """Of the picture of a synthetic defect."""
    return f"pictures/defect-{number:02}.jpg"


def map_path(image: int) -> str:
    """Of the picture with the anomaly map over it."""
    return f"pictures/{image:06}-map.jpg"


def _duration(duration_s: float) -> str:
    minutes, seconds = divmod(math.ceil(duration_s), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
