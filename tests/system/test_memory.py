"""A station that runs for months must not grow. `benchmarks/chaos` looks at memory for hours."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.bench import Bench, bad, good

WARM, PARTS = 200, 800
"""Parts until it has all that it needs, and parts that must not add to it."""
LEAK_KB = 3.5
"""Of each part: less than a row and its pixels. It takes 0.3 to 1.2 while the allocator settles."""


def resident_kb(pid: int) -> int:
    """Resident memory of the process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) for name in ("RssAnon", "RssShmem", "RssFile"))


def test_memory_stays(tmp_path: Path) -> None:
    with Bench(tmp_path, records__pass_image_share=0.05) as bench:
        bench.start()
        assert bench.process is not None
        pictures = [good()] * 9 + [bad()]
        for index in range(WARM):
            bench.part(pictures[index % 10])
        early = resident_kb(bench.process.pid)
        for index in range(PARTS):
            bench.part(pictures[index % 10])
        late = resident_kb(bench.process.pid)
        print(f"resident memory: {early} kB after {WARM} parts, {late} kB after {PARTS} more")  # noqa: T201
        bench.assert_balanced(WARM + PARTS)
        assert late - early <= LEAK_KB * PARTS, f"{early} kB after {WARM} parts, {late} kB after {PARTS} more"
