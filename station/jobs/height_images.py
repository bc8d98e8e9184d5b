"""Heights on disk as the pictures that an engine learns from: the same as the line makes of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from drivers.camera.images import read_height_map
from drivers.camera.protocol import CameraUnreadable
from drivers.camera.settings import DepthSettings
from drivers.imagefiles.listing import list_images
from engines.inputs.depth import Heights, NoHeights, depth_picture, missing_share
from engines.inputs.depth_spec import DepthSpec
from station.jobs.process import JobError
from station.records.images import ImageError, write_image

MASK_ENDING = "_mask"
"""`NAME_mask.png` beside `NAME.png`: 8 bit, and copied as it is."""
MAX_LISTED = 10


def pictures_of_heights(
    images: Path,
    settings: DepthSettings,
    spec: DepthSpec,
    folder: Path,
    *,
    most_missing: float = 1.0,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Writes the picture of every file of heights in `images` (or `images/train/good`) into `folder`; their number.

    Args:
        settings: of the camera: what the values of files mean that do not say it.
        most_missing: share of the pixels of a file that may have no height, as on the line.

    Raises JobError: the folder cannot be read, or files hold no heights, too few, or contradict the settings.
    """
    source = images / "train" / "good" if (images / "train" / "good").is_dir() else images
    try:
        files = list_images(source).files
    except OSError as problem:
        raise JobError(f'"{source}": {problem.strerror}; a folder of files of heights (16 bit) is needed') from problem
    problems: list[str] = []
    count = 0
    for done, file in enumerate(files, start=1):
        if file.stem.endswith(MASK_ENDING):
            shutil.copyfile(file, folder / file.name)
            continue
        try:
            _write_picture(file, settings, spec, folder / f"{file.stem}.png", most_missing)
            count += 1
        except (CameraUnreadable, NoHeights, ValueError, ImageError) as problem:
            problems.append(f"{file.name}: {problem}")
        except OSError as problem:
            raise JobError(
                f'"{folder}": {problem.strerror}; the pictures of the heights cannot be written'
            ) from problem
        on_progress(done, len(files))
    if problems:
        more = f"; and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise JobError(
            f'{len(problems)} of {len(files)} files in "{source}" cannot be used as heights: '
            f"{'; '.join(problems[:MAX_LISTED])}{more}; allowed: grey images of 16 bit (PNG, TIFF); remove the others"
        )
    return count


def _write_picture(file: Path, settings: DepthSettings, spec: DepthSpec, to: Path, most_missing: float) -> None:
    found = read_height_map(file, settings)
    values = np.ascontiguousarray(found.values)
    heights = Heights(values, found.scale_mm, found.offset_mm, found.invalid, spec)
    picture = depth_picture(values, found.scale_mm, found.offset_mm, found.invalid, spec)
    if (share := missing_share(heights.missing)) > most_missing:
        raise ValueError(f"{share:.1%} of its pixels have no height, [quality] max_missing_share is {most_missing:.1%}")
    write_image(to, picture, heights)
