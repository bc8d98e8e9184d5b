"""The folder of a dossier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.overlay import legend
from engines.training.dossier.page import LEGEND_PICTURE, LOCATION_PICTURE, defect_path, map_path, picture_path, render
from engines.training.dossier.pictures import overlay, picture_of, write_jpeg
from engines.training.dossier.plots import write_plots
from engines.training.dossier.schema import Dossier
from engines.training.dossier.selection import select
from engines.training.dossier.veto import removed_text


def write_dossier(
    folder: Path,
    dossier: Dossier,
    images: Callable[[int], NDArray[np.uint8]],
    maps: Mapping[int, NDArray[np.float32]],
    *,
    weights: NDArray[np.uint8] | None = None,
    location_sheet: NDArray[np.uint8] | None = None,
    defects: Sequence[tuple[str, NDArray[np.uint8]]] = (),
) -> None:
    """Write `dossier.json`, `dossier.html`, `removed.txt`, `pictures/` and `plots/` to the new directory `folder`.

    Args:
        images: id -> (height, width) grey or (height, width, 3) RGB as the detector saw it, where the part is already
            located; called once for each of `pictured(dossier)`, and only one picture is held at a time.
        maps: id -> anomaly map that covers this picture; an image without one is shown without.
        weights: (all images, map_height, map_width), 0 where a cell was not learned; None: all were learned.
        location_sheet: RGB picture of how the part was found, see `engines.training.location.sheet`.
        defects: caption and RGB picture of synthetic defects that are just found and just missed.

    Raises:
        TrainingError: `folder` exists and is not empty, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise TrainingError(f'dossier "{folder}": the directory is not empty; choose a new one')
        (folder / "pictures").mkdir()
        (folder / "plots").mkdir()
        (folder / "dossier.json").write_text(dossier.model_dump_json(indent=1) + "\n", "utf-8")
        (folder / "removed.txt").write_text(removed_text(dossier), "utf-8")
        plots = write_plots(folder / "plots", dossier)
        selection = select(dossier)
        scale = dossier.calibration.pixel_scale
        for image in selection.ids:
            picture = picture_of(images(image))
            write_jpeg(folder / picture_path(image), picture)
            if image in maps:
                learned = None if weights is None else weights[image]
                write_jpeg(folder / map_path(image), overlay(picture, maps[image], scale, learned))
        write_jpeg(folder / LEGEND_PICTURE, legend(240, 14))
        if location_sheet is not None:
            write_jpeg(folder / LOCATION_PICTURE, location_sheet)
        captions = {}
        for number, (caption, picture) in enumerate(defects):
            captions[defect_path(number)] = caption
            write_jpeg(folder / defect_path(number), picture)
        page = render(
            dossier, selection, plots, maps.keys(), with_location_sheet=location_sheet is not None, defects=captions
        )
        (folder / "dossier.html").write_text(page, "utf-8")
    except OSError as error:
        raise TrainingError(f'cannot write the dossier "{folder}": {error.strerror or error}') from error
