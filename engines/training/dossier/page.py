"""`dossier.html`: one page without a network. Everything that comes from outside goes through Jinja's escaping."""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Collection, Mapping
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engines.bundle.kinds import kinds_in_words
from engines.bundle.known_defects import said_of
from engines.bundle.reviews import advice, counted, price_header, price_rows
from engines.training.dossier.schema import Dossier
from engines.training.dossier.selection import ShownImages

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
    environment = Environment(
        loader=PackageLoader("engines.training.dossier", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "score": "{:.3f}".format, "value": _value, "duration": _duration}
    css = _source("dossier.css")
    js = _source("veto.js")
    refinement, reviews = dossier.refinement, dossier.reviews
    return environment.get_template("dossier.html.j2").render(
        dossier=dossier,
        images=dossier.images,
        refinement=refinement,
        selection=selection,
        calibration=dossier.calibration.model_dump(mode="json", exclude={"promise"}),
        known_defects=said_of(dossier.known_defects) if dossier.known_defects else "",
        kinds=kinds_in_words(dossier.kinds) if dossier.kinds else "",
        counted=counted(reviews) if reviews else "",
        price_header=price_header(reviews) if reviews else (),
        price_rows=price_rows(reviews) if reviews else (),
        advice=advice(reviews) if reviews else "",
        plots={"convergence": None, "scores": None, **plots},
        with_map=with_map,
        defects=defects,
        location_picture=LOCATION_PICTURE if with_location_sheet else None,
        legend_picture=LEGEND_PICTURE,
        picture=picture_path,
        map_picture=map_path,
        masked_count=sum(image.masked_share > 0 and image.fate == "kept" for image in dossier.images),
        protected_count=sum(image.protected for image in dossier.images),
        veto_start="".join(f"{dossier.images[image].name}\n" for image in refinement.known_good),
        command=f"{shlex.join(dossier.command)} --veto veto.txt",
        command_keep=f"{shlex.join(dossier.command)} --variants keep",
        css=Markup(css),
        js=Markup(js),
        css_sha256=_csp_hash(css),
        js_sha256=_csp_hash(js),
    )


def picture_path(image: int) -> str:
    """Of the thumbnail, from the dossier's folder; never from a file name."""
    return f"pictures/{image:06}.jpg"


def defect_path(number: int) -> str:
    """Of the picture of a synthetic defect."""
    return f"pictures/defect-{number:02}.jpg"


def map_path(image: int) -> str:
    """Of the thumbnail with the anomaly map over it."""
    return f"pictures/{image:06}-map.jpg"


def _source(name: str) -> str:
    return files("engines.training.dossier").joinpath(name).read_text("utf-8")


def _csp_hash(source: str) -> str:
    """What the page allows to run or style: exactly this text."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == 0 or share >= 0.001 else "<0.1%"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return "none" if value is None else str(value)


def _duration(duration_s: float) -> str:
    minutes, seconds = divmod(math.ceil(duration_s), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
