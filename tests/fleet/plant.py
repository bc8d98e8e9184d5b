"""Who publishes engines, and a station that pulls them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.signatures.minisign import signature_file
from engines.signatures.secret_key import read_secret_key
from engines.signatures.trust import Trust
from engines.store.store import EngineStore
from station.fleet.channel import FILE, SIGNATURE, Channel
from station.fleet.publishing import publish
from station.fleet.pulling import Place, Pulled, pull
from station.fleet.seen import Seen, file_of, read_seen
from station.fleet.sources import Folder, Source
from tests.bench.engines.signing import Keys, make_keys

NOW = 1_800_000_000.0


@dataclass
class Plant:
    """The publisher's store and folder, and the store of a station."""

    folder: Path
    engines: tuple[Path, ...]
    now: float = NOW
    most_bytes: int = 500 << 20
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = make_keys(self.folder / "keys")
        self.maker = EngineStore(self.folder / "maker" / "cover")
        for engine in self.engines:
            self.maker.add(engine, why="taught")
        self.shared = self.folder / "share"
        self.work = self.folder / "work"
        self.store = EngineStore(self.folder / "engines" / "cover", trust=self.trust)
        self.source: Source = Folder(self.shared)

    @property
    def trust(self) -> Trust:
        return Trust(self.keys.trusted)

    def publish(
        self, version: str = "1", *, days: int = 30, sequence: int | None = None, keys: Keys | None = None
    ) -> Channel:
        key = read_secret_key((keys or self.keys).secret, str)
        found = self.maker.find(version)
        return publish(self.maker, found, self.shared, key, now=self.now, days=days, sequence=sequence)

    def pull(self) -> Pulled:
        place = Place(self.source, self.store, self.trust, self.work, self.most_bytes)
        return pull(place, lambda: self.now)

    def seen(self) -> Seen:
        return read_seen(file_of(self.work, "cover"))

    def rewrite(self, keys: Keys | None = None, **changes: Any) -> None:
        """The channel says something else, and is signed again, as its publisher may do."""
        content = json.dumps(json.loads((self.shared / FILE).read_text()) | changes).encode()
        self.write(content, keys or self.keys)

    def write(self, content: bytes, keys: Keys) -> None:
        (self.shared / FILE).write_bytes(content)
        signature = signature_file(read_secret_key(keys.secret, str), hashlib.blake2b(content).digest(), "of a test")
        (self.shared / SIGNATURE).write_bytes(signature)

    def kept(self) -> Path:
        """The folder of the share as it is now."""
        copy = self.folder / f"kept-{len(list(self.folder.iterdir()))}"
        shutil.copytree(self.shared, copy)
        return copy

    def versions(self) -> list[str]:
        return [version.name for version in self.store.versions()]
