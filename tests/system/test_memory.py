"""A station that runs for months must not grow: memory after 2,000 parts is within 5 % of that after 200."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.bench import Bench, bad, good


def resident_kb(pid: int) -> int:
    """Resident memory of the process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) for name in ("RssAnon", "RssShmem", "RssFile"))


def test_memory_stays(tmp_path: Path) -> None:
    with Bench(tmp_path, records__pass_image_share=0.05) as bench:
        bench.start()
        assert bench.process is not None
        pictures = [good()] * 9 + [bad()]
        for index in range(200):
            bench.part(pictures[index % 10])
        early = resident_kb(bench.process.pid)
        for index in range(1800):
            bench.part(pictures[index % 10])
        late = resident_kb(bench.process.pid)
        print(f"resident memory: {early} kB after 200 parts, {late} kB after 2,000")  # noqa: T201
        bench.assert_balanced(2000)
        assert late <= 1.05 * early, f"{early} kB after 200 parts, {late} kB after 2,000"
