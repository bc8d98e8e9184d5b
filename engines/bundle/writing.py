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
    golden_file,
    picture_file,
    reason,
    sample_file,
    sha256_of,
    sync_directory,
    variant_file,
    write_synced,
)
from engines.bundle.location_spec import PictureName
from engines.bundle.manifest import MODEL_FILE, Draft, FrameFile, GoldenFile, Manifest, ModelFile, Variant, VariantFile
from engines.bundle.png import encode_png
from engines.bundle.reading import FrameGraph, Golden, Graph, check_pictures
from engines.bundle.reference import ReferencePicture, reference_files
from engines.errors import BundleError


def write_bundle(
    path: Path,
    *,
    draft: Draft,
    model: bytes,
    golden: Sequence[Golden],
    pictures: Mapping[PictureName, NDArray[np.uint8]] | None = None,
    variants: Mapping[Variant, Graph] | None = None,
    sample: Sequence[NDArray[np.uint8]] = (),
    frame: FrameGraph | None = None,
    dossier: Path | None = None,
    reference: Sequence[ReferencePicture] = (),
) -> Manifest:
    """Write an engine to the new directory `path`, whole or not at all, and return its manifest.

    Of `draft` only the fields of a `Draft` count: where it is the manifest of another engine, the hashes of that one's
    files are left out. The folder `dossier` is copied to `DOSSIER_FOLDER` beside the manifest and appears together with
    the engine, and so do the pictures of `reference`.

    Raises:
        BundleError: `path` exists already (and is not an empty directory) or cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BundleError(f'engine "{path}" exists already; choose another directory or remove it first')
    pictures, variants = pictures or {}, variants or {}
    files = {
        MODEL_FILE: model,
        **{variant_file(name): graph.model for name, graph in variants.items()},
        **({FRAME_FILE: frame.model} if frame else {}),
        **{golden_file(entry.name): _png(entry.image) for entry in golden},
        **{sample_file(index): _png(image) for index, image in enumerate(sample)},
        **{picture_file(name): _png(image) for name, image in pictures.items()},
    }
    sha256 = {file: sha256_of(data) for file, data in files.items()}
    content = {name: getattr(draft, name) for name in Draft.model_fields} | {
        "model": ModelFile(sha256=sha256[MODEL_FILE]),
        "golden": tuple(_golden_entry(entry, sha256) for entry in golden),
        "pictures": {name: sha256[picture_file(name)] for name in pictures},
        "variants": {
            name: VariantFile(sha256=sha256[variant_file(name)], parity=graph.parity)
            for name, graph in variants.items()
        },
        "sample": tuple(sha256[sample_file(index)] for index in range(len(sample))),
        "frame": frame
        and FrameFile(sha256=sha256[FRAME_FILE], width=frame.width, height=frame.height, grey=frame.grey),
    }
    engine_id = Manifest.model_construct(engine_id="", **content).content_id()  # of everything but the id itself
    manifest = Manifest(engine_id=engine_id, **content)
    check_pictures(path, manifest)
    files[MANIFEST_FILE] = manifest.as_json().encode()
    Manifest.model_validate_json(files[MANIFEST_FILE])  # never write what cannot be read back
    files |= reference_files(engine_id, draft.input, reference)
    _write_folder(path, files, dossier)
    return manifest


def _golden_entry(golden: Golden, sha256: Mapping[str, str]) -> GoldenFile:
    file = golden_file(golden.name)
    return GoldenFile(file=file, sha256=sha256[file], image_score=golden.image_score, map_peak=golden.map_peak)


def _write_folder(path: Path, files: Mapping[str, bytes], dossier: Path | None) -> None:
    """All files under a temporary name, which then becomes `path` in one step. Raises BundleError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise BundleError(f'cannot write engine "{path}": {reason(error)}') from error
    try:
        for file, data in files.items():
            (temporary / file).parent.mkdir(exist_ok=True)
            write_synced(temporary / file, data)
        if dossier is not None:
            shutil.copytree(dossier, temporary / DOSSIER_FOLDER)
        temporary.chmod(0o755)
        temporary.rename(path)  # replaces an empty directory, fails on any other
        sync_directory(path.parent)
    except OSError as error:
        raise BundleError(f'cannot write engine "{path}": {reason(error)}') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _png(image: NDArray[np.uint8]) -> bytes:
    png = encode_png(image)
    if png is None:
        raise BundleError(f"image of shape {image.shape}: cannot be encoded as PNG")
    return png
