"""Writing an engine: a new folder, whole or not at all, whose manifest names the hash of every file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.files import (
    DOSSIER_FOLDER,
    FRAME_FILE,
    MANIFEST_FILE,
    picture_file,
    reason,
    sample_file,
    sha256_of,
    sync_directory,
    variant_file,
    write_synced,
)
from engines.bundle.location_spec import PictureName
from engines.bundle.manifest import MODEL_FILE, FrameFile, GoldenFile, Manifest, ModelFile, Variant, VariantFile
from engines.bundle.png import encode_png
from engines.bundle.reading import FrameGraph, Golden, Graph, check_pictures
from engines.errors import BundleError


def write_bundle(
    path: Path,
    *,
    manifest: Manifest,
    model: bytes,
    golden: Sequence[Golden],
    pictures: Mapping[PictureName, NDArray[np.uint8]] | None = None,
    variants: Mapping[Variant, Graph] | None = None,
    sample: Sequence[NDArray[np.uint8]] = (),
    frame: FrameGraph | None = None,
    dossier: Path | None = None,
) -> Manifest:
    """Write an engine to the new directory `path`, whole or not at all, and return its manifest.

    The file entries and `engine_id` of `manifest` are ignored and computed here. The folder `dossier` is copied to
    `DOSSIER_FOLDER` beside the manifest and appears together with the engine.

    Raises:
        BundleError: `path` exists already (and is not an empty directory) or cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BundleError(f'engine "{path}" exists already; choose another directory or remove it first')
    pngs = [(entry, _png(entry.image)) for entry in golden]
    picture_pngs = {name: _png(image) for name, image in (pictures or {}).items()}
    sample_pngs = [_png(image) for image in sample]
    graphs = dict(variants or {})
    sealed = manifest.model_copy(
        update={
            "model": ModelFile(sha256=sha256_of(model)),
            "golden": tuple(
                GoldenFile(
                    file=f"golden/{entry.name}.png",
                    sha256=sha256_of(png),
                    image_score=entry.image_score,
                    map_peak=entry.map_peak,
                )
                for entry, png in pngs
            ),
            "pictures": {name: sha256_of(png) for name, png in picture_pngs.items()},
            "variants": {
                name: VariantFile(sha256=sha256_of(graph.model), parity=graph.parity) for name, graph in graphs.items()
            },
            "sample": tuple(sha256_of(png) for png in sample_pngs),
            "frame": frame
            and FrameFile(sha256=sha256_of(frame.model), width=frame.width, height=frame.height, grey=frame.grey),
        }
    )
    sealed = sealed.model_copy(update={"engine_id": sealed.content_id()})
    text = sealed.model_dump_json(indent=2) + "\n"
    check_pictures(path, sealed)
    Manifest.model_validate_json(text)  # model_copy does not validate: never write what cannot be read back

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise BundleError(f'cannot write engine "{path}": {reason(error)}') from error
    try:
        files = {
            MODEL_FILE: model,
            **{variant_file(variant): graph.model for variant, graph in graphs.items()},
            **({FRAME_FILE: frame.model} if frame else {}),
            **{f"golden/{entry.name}.png": png for entry, png in pngs},
            **{sample_file(index): png for index, png in enumerate(sample_pngs)},
            **{picture_file(name): png for name, png in picture_pngs.items()},
        }
        for file, data in files.items():
            (temporary / file).parent.mkdir(exist_ok=True)
            write_synced(temporary / file, data)
        if dossier is not None:
            shutil.copytree(dossier, temporary / DOSSIER_FOLDER)
        write_synced(temporary / MANIFEST_FILE, text.encode())
        temporary.chmod(0o755)
        temporary.rename(path)  # replaces an empty directory, fails on any other
        sync_directory(path.parent)
    except OSError as error:
        raise BundleError(f'cannot write engine "{path}": {reason(error)}') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sealed


def _png(image: NDArray[np.uint8]) -> bytes:
    png = encode_png(image)
    if png is None:
        raise BundleError(f"image of shape {image.shape}: cannot be encoded as PNG")
    return png
