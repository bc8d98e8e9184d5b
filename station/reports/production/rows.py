"""The parts of a report as rows for other programs: `pandas.read_parquet(file)`."""

from __future__ import annotations

import io

from station.reports.production.reading import Parts


class MissingPackage(Exception):
    """A package of the extra `reports` is not installed; the message says which."""

    def __init__(self, what: str, problem: ImportError) -> None:
        super().__init__(f"{what} needs more packages ({problem}); pip install 'edge-inspection-station[reports]'")


def parquet(parts: Parts) -> bytes:
    """One row a part. Raises MissingPackage: pyarrow is not installed."""
    try:
        import pyarrow  # noqa: PLC0415  of the extra `reports`
        from pyarrow import parquet as files  # noqa: PLC0415
    except ImportError as problem:
        raise MissingPackage("Parquet", problem) from problem
    table = pyarrow.table(
        {
            "session": [session for session, _ in parts.key],
            "acquisition_id": [number for _, number in parts.key],
            "part_id": parts.part_id,
            "time": pyarrow.array((parts.wall_time * 1e6).astype("int64"), pyarrow.timestamp("us", tz="UTC")),
            "verdict": parts.verdict.tolist(),
            "score": pyarrow.array(parts.score, from_pandas=True),
            "signalled_ms": pyarrow.array(parts.signalled_ms, from_pandas=True),
            "late": parts.late,
            "recipe": parts.recipe,
            "engine_id": parts.engine_id,
        }
    )
    out = io.BytesIO()
    files.write_table(table, out, compression="zstd")
    return out.getvalue()
