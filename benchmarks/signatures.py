"""What signed engines cost: an engine is packed anew in memory, hashed and checked, which is set beside its load.

    python benchmarks/signatures.py --engine DIR [--repeat 5]

Processor time of the lowest of a few runs. The daemon pays `check` once for every engine that it loads with
`[engine] require_signature = "load"`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engines.bundle.archive import engine_digests, export_archive
from engines.engine import open_engine
from engines.signatures.minisign import signature_file
from engines.signatures.secret_key import read_secret_key
from engines.signatures.trust import Trust
from engines.store.signed import SIGNATURE_FILE, check_may_load, comment
from engines.store.store import EngineStore
from tests.bench.engines.signing import make_keys


def processor_ms(work: Callable[[], object], repeat: int) -> float:
    """The lowest of `repeat` runs."""
    taken = []
    for _ in range(repeat):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return min(taken) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", type=Path, required=True, metavar="DIR")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        keys = make_keys(folder)
        engine = EngineStore(folder / "store").add(options.engine, why="").path
        engine_id, digests = engine_digests(engine)
        export_archive(engine, folder / "engine.tar")
        size = (folder / "engine.tar").stat().st_size
        signature = signature_file(read_secret_key(keys.secret, str), digests.blake2b, comment("engine.tar", engine_id))
        (engine / SIGNATURE_FILE).write_bytes(signature)
        trust = Trust(keys.trusted, "load")
        print(f"archive {size / 1e6:.1f} MB")
        for name, work in {
            "hash": lambda: engine_digests(engine),
            "check": lambda: check_may_load(engine, trust, engine_id),
            "load": lambda: open_engine(engine, threads=1).close(),
        }.items():
            print(f"{name:6} {processor_ms(work, options.repeat):8.1f} ms")


if __name__ == "__main__":
    main()
