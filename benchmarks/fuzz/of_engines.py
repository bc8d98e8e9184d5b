"""Archives of engines, with mutated content."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.target import SHARED_MEMORY, Broken, Try
from engines.bundle.archive import export_archive, open_archive
from engines.bundle.files import MANIFEST_FILE
from engines.bundle.graph_check import check_self_contained
from engines.bundle.manifest import MODEL_FILE, Manifest
from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from tests.bench.engines.small_engine import write_small_engine

# ---- archives of engines --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def archives() -> Iterator[Try]:
    """Archives that were changed anywhere, or have a changed member in a sound archive with hashes that fit."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHARED_MEMORY) as name:
        folder = Path(name)
        engine = write_small_engine(folder / "engine", width=32, height=32)
        export_archive(engine, folder / "good")
        good = (folder / "good").read_bytes()
        engine_id = read_manifest(engine).engine_id
        members = _members(good)
        file, into = folder / "bad", folder / "into"

        def one(rng: random.Random) -> str:
            kind = rng.randrange(4)
            data = mutated(good, rng) if kind < 2 else _rebuilt(members, rng)
            file.write_bytes(data)
            into.mkdir()
            try:
                if kind == 3:
                    check_self_contained(mutated(members[MODEL_FILE], rng), "model")
                    return "graph looked through"
                with open_archive(file) as archive:
                    archive.digests()
                    archive.unpack(into)
                found = read_manifest(into).engine_id
            except EngineError as problem:
                str(problem).encode()
                return "refused"
            finally:
                shutil.rmtree(into)
            if kind < 2 and found != engine_id:
                raise Broken("a changed archive gave another engine")
            return "taken"

        yield one


def _members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def _rebuilt(members: Mapping[str, bytes], rng: random.Random) -> bytes:
    """The archive with one member changed, and the manifest such that its hashes fit where that can be done."""
    changed = dict(members)
    name = rng.choice(list(members))
    changed[name] = mutated(members[name], rng)
    if name == MANIFEST_FILE and rng.random() < 0.7:
        changed[name] = _with_own_id(_other_values(json.loads(members[name]), rng))
    elif name != MANIFEST_FILE:
        before, now = (hashlib.sha256(content).hexdigest() for content in (members[name], changed[name]))
        text = members[MANIFEST_FILE].decode().replace(before, now)
        changed[MANIFEST_FILE] = _with_own_id(json.loads(text))
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in changed.items():
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return written.getvalue()


def _with_own_id(content: Any) -> bytes:
    try:
        made = Manifest.model_validate(content)
        return json.dumps({**content, "engine_id": made.content_id()}).encode()
    except (ValueError, TypeError):
        return json.dumps(content).encode()


def _other_values(content: Any, rng: random.Random) -> Any:
    """A few values of the manifest are others: at their limits, of another type, gone."""
    for _ in range(rng.randint(1, 3)):
        place = content
        while isinstance(place, dict | list) and place:
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = rng.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.9:
                place = place[key]
                continue
            if rng.random() < 0.15:
                del place[key]
            else:
                place[key] = rng.choice(
                    (
                        None,
                        True,
                        -1,
                        0,
                        1,
                        1e308,
                        float("nan"),
                        1 << 70,
                        "",
                        "x" * 3000,
                        "../x",
                        [],
                        {},
                        [[]],
                        [1e9] * 50,
                    )
                )
            break
    return content
