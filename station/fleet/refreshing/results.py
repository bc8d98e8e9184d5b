"""The folder of results, the same for all workers: engines under the hash of their archive, each with its report.

RESULTS/.station-engines     a person made it: a share that is not mounted is an empty folder of this computer
RESULTS/SHA256.tar           as `station engine export` writes it; whole or not there
RESULTS/SHA256.report/       comparison, dossier
RESULTS/.new-.../            of a worker that is at it, or was killed
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engines.bundle.files import DOSSIER_FOLDER, sync_directory, sync_tree
from engines.errors import EngineError
from engines.store.store import EngineStore
from engines.store.versions import Version
from station.fleet.refreshing.jobs import SHA256, FleetError, Unlucky

MARK = ".station-engines"
REPORT = "refresh"
"""Beside the engine in the store: what the refresh has found."""
DAY_S = 86_400.0
_NEW, _OLD_S = ".new-", DAY_S
_BLOCKS = "blocks"
"""Features of the images, some 30 MB: of use only beside the engine in a store."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An engine in the folder."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Results:
    """Of one plant."""

    folder: Path

    @property
    def where(self) -> str:
        """For people."""
        return f'"{self.folder}"'

    def reach(self) -> str:
        """Why it cannot be used, or empty."""
        try:
            (self.folder / MARK).stat()
            with tempfile.TemporaryFile(dir=self.folder):
                return ""
        except FileNotFoundError:
            return (
                f'"{self.folder}" has no file {MARK}: is the share mounted? If this is the folder: touch '
                f'"{self.folder / MARK}"'
            )
        except OSError as problem:
            return f'"{self.folder}" cannot be used: {problem.strerror or problem}'

    def archive(self, sha256: str) -> Path:
        """Where the engine lies. Raises FleetError: it is not there, or that is no hash."""
        path = self.folder / f"{sha256}.tar"
        if not SHA256.fullmatch(sha256) or not path.is_file():
            raise FleetError(f'"{path}" is not there (any more): ask for a refresh again')
        return path

    def report(self, sha256: str) -> Path:
        """The folder of its report."""
        return self.folder / f"{sha256}.report"

    def keep(self, store: EngineStore, version: Version) -> Kept:
        """Puts an engine and its report there. Raises Unlucky: nothing of it is there."""
        if why := self.reach():
            raise Unlucky(f"the folder of results: {why}")
        try:
            new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
            try:
                exported = store.export(version, new / "engine.tar")
                self._copy_report(version.path, new / "report")
                archive, report = self.folder / f"{exported.sha256}.tar", self.report(exported.sha256)
                if not report.exists():
                    (new / "report").rename(report)
                (new / "engine.tar").replace(archive)
                sync_directory(self.folder)
                return Kept(exported.sha256, archive.stat().st_size)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        except (OSError, shutil.Error, EngineError) as problem:
            why = getattr(problem, "strerror", None) or str(problem)
            raise Unlucky(f"the folder of results {self.where}: {why}") from problem

    def remove(self, sha256: str, days: int) -> int | None:
        """An engine and its report that lie there for longer; its size. None: it is not there, or younger.

        Raises FleetError: it cannot be removed.
        """
        archive, report = self.folder / f"{sha256}.tar", self.report(sha256)
        if not SHA256.fullmatch(sha256):
            return None
        try:
            found = (archive if archive.is_file() else report).stat()
            if time.time() - found.st_mtime < days * DAY_S:
                return None
            if report.exists():
                shutil.rmtree(report)
            archive.unlink(missing_ok=True)  # last: a removal that was broken off is found again by it
            sync_directory(self.folder)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise FleetError(f'"{archive}" cannot be removed: {problem.strerror or problem}') from problem
        return found.st_size

    def tidy(self) -> None:
        """Removes what killed workers have left there a day ago. Raises nothing: what cannot go stays."""
        for left in self.folder.glob(f"{_NEW}*"):
            try:
                if time.time() - left.stat().st_mtime > _OLD_S:
                    shutil.rmtree(left, ignore_errors=True)
            except OSError:
                continue

    def _copy_report(self, engine: Path, report: Path) -> None:
        report.mkdir()
        for name in (REPORT, DOSSIER_FOLDER):
            if (engine / name).is_dir():
                shutil.copytree(engine / name, report / name, symlinks=True, ignore=shutil.ignore_patterns(_BLOCKS))
        sync_tree(report)
