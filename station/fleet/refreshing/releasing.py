"""Signs engines that were made for stations and puts each into the channel of its station, from which that one pulls.

FOLDER/STATION/PRODUCT/     a channel, see `station.fleet.publishing`; [channel] url of that station leads there
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.signatures.minisign import SecretKey
from engines.store.store import EngineStore
from station.fleet.channel import Channel, ChannelError
from station.fleet.publishing import publish
from station.fleet.refreshing.jobs import FleetError, Job
from station.fleet.refreshing.results import Results
from station.northbound.images.policy import segment


@dataclass(frozen=True, slots=True)
class Release:
    """How engines are signed, and where they go."""

    folder: Path
    key: SecretKey
    days: int
    check: Callable[[Path], None]
    """Raises EngineError unless the engine in a folder gives the scores that it was released with."""

    def channel_of(self, job: Job) -> Path:
        """Where the station of the job pulls from."""
        return self.folder / segment(job.station) / segment(job.product or "")


def release(job: Job, results: Results, how: Release, now: float) -> Channel:
    """Into the channel of its station. Raises FleetError: nothing of it is in the channel."""
    if job.state != "done" or not job.archive_sha256 or not job.product:
        raise FleetError(f"job {job.number} of {job.station} is {job.state}: it has no engine to release")
    archive = results.archive(job.archive_sha256)
    product = segment(job.product)
    try:
        with tempfile.TemporaryDirectory(prefix="station-release-") as folder:
            store = EngineStore(Path(folder) / product, check=how.check)
            version = store.import_archive(archive, why=f"job {job.number}", sha256=job.archive_sha256, pictures=False)
            return publish(store, version, how.channel_of(job), how.key, now=now, days=how.days, sequence=None)
    except (ChannelError, EngineError, OSError) as problem:
        raise FleetError(f"job {job.number} of {job.station}: {problem}") from problem
