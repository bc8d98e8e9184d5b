"""The engines of one product: versioned directories, one of them active, and what was done with them.

    <store>/<product>/
        0001-3f2a9c1b0d4e/     an engine (see `bundle`), never changed; number and start of its id
            dossier/, ...      what else was written about it; not part of the engine, not checked, not exported
        0002-.../
        active -> 0002-...     exchanged in one step: whoever follows it finds a whole engine
        history.jsonl          see `history`
        .lock                  held (flock) by whoever changes something

A process may be killed at any moment. What is half done lies under a name that begins with a dot and is removed by the
next change. A change of `active` is announced in the history before it is made, so no engine is ever active without
an entry that says who made it so; an announcement without its change is marked as interrupted by the next change.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.bundle.archive import export_archive, unpack_archive
from engines.bundle.files import DOSSIER_FOLDER, bundle_files, sync_directory
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_bundle, read_manifest
from engines.engine import open_engine
from engines.errors import BundleError, EngineError, StoreError
from engines.store import history, versions
from engines.store.history import Action, Event
from engines.store.versions import ID_DIGITS, Version

HISTORY_FILE = "history.jsonl"
LOCK_TIMEOUT_S = 30.0
_TEMPORARY = ".new-"


@dataclass(frozen=True, slots=True)
class Change:
    """Another engine is active. None: no engine."""

    before: str | None
    after: str | None


def manifest_of(version: Version) -> Manifest:
    """The manifest of a version. Raises BundleError when it cannot be used or belongs to another engine."""
    manifest = read_manifest(version.path)
    if version.id_start != manifest.engine_id[:ID_DIGITS]:
        raise BundleError(f'"{version.path}" holds engine {manifest.engine_id[:ID_DIGITS]}: exchanged; restore it')
    return manifest


def run_golden(engine: Path) -> None:
    """Check hashes, format and golden scores in this process. Raises EngineError."""
    open_engine(engine, threads=1).close()


class EngineStore:
    """The engines of one product below directory `path`, which need not exist yet.

    Methods raise StoreError, or another EngineError when an engine itself is at fault; nothing has changed then.
    """

    def __init__(
        self, path: Path, *, lock_timeout_s: float = LOCK_TIMEOUT_S, check: Callable[[Path], None] = run_golden
    ) -> None:
        """`check`: raises EngineError unless the engine in a folder gives the scores that it was released with. It runs
        while the store is locked, and what it runs is not trusted yet: a station uses a process with a time limit.
        """
        self.path = path
        self._check = check
        self._lock_timeout_s = lock_timeout_s

    @property
    def active_link(self) -> Path:
        """What a station opens: always a whole engine, or not there."""
        return versions.active_link(self.path)

    # ---- looking ------------------------------------------------------------------------------------------------

    def versions(self) -> tuple[Version, ...]:
        """All engines, oldest first."""
        return versions.all_versions(self.path)

    def active(self) -> Version | None:
        """The active engine. Raises StoreError when the link leads nowhere or elsewhere."""
        return versions.active_version(self.path)

    def find(self, selector: str) -> Version:
        """A version by number, name, start of its id, `active` or `latest`: see `versions.find_version`."""
        return versions.find_version(self.path, selector)

    def events(self) -> tuple[Event, ...]:
        """The history, oldest first."""
        try:
            return history.read(self.path / HISTORY_FILE)
        except OSError as error:
            raise StoreError(f'"{self.path / HISTORY_FILE}" cannot be read: {error.strerror}') from error

    def verify(self, version: Version) -> None:
        """Check hashes, format and golden scores, on the runtime that would run it. Raises EngineError."""
        manifest_of(version)
        self._check(version.path)

    # ---- changing -----------------------------------------------------------------------------------------------

    def add(self, engine: Path, *, why: str, extras: Mapping[str, Path] | None = None) -> Version:
        """Copy the engine in directory `engine` into the store; the same engine is not stored twice.

        Args:
            engine: made by `station teach`; a dossier in it comes along.
            why: for the history.
            extras: directories to keep beside the engine's files, by name.
        """

        def copy(folder: Path) -> None:
            for name in bundle_files(read_bundle(engine).manifest):
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(engine / name, folder / name, follow_symlinks=False)
            dossier = engine / DOSSIER_FOLDER
            beside = {DOSSIER_FOLDER: dossier} if dossier.is_dir() else {}
            for name, source in (beside | dict(extras or {})).items():
                shutil.copytree(source, folder / name, symlinks=True)

        return self._install(copy, why)

    def import_archive(self, archive: Path, *, why: str = "") -> Version:
        """Add the engine in an untrusted file made by `export`."""
        return self._install(lambda folder: unpack_archive(archive, folder), why or f"import of {archive.name}")

    def export(self, version: Version, output: Path) -> str:
        """Write a version to one file; returns the file's SHA-256 (hex)."""
        manifest_of(version)
        return export_archive(version.path, output)

    def activate(self, version: Version, *, why: str = "") -> Change:
        """Make a version the active one, after it has been verified."""
        with self._locked():
            self.verify(version)
            return self._switch(Action.ACTIVATE, version.name, why)

    def rollback(self, *, why: str = "") -> Change:
        """Go back to the version that was active before, after it has been verified. Again: further back."""
        with self._locked():
            before = self._earlier()
            if before is None:
                raise StoreError(
                    f'store "{self.path}": no version was active before this one; see: station engine list'
                )
            self.verify(before)
            return self._switch(Action.ROLLBACK, before.name, why)

    def refuse(self, change: Change, *, why: str) -> Change | None:
        """Take back `change`, which the station did not accept; None when somebody else has changed it since."""
        with self._locked():
            if versions.active_name(self.path) != change.after:
                return None
            return self._switch(Action.REFUSED, change.before, why)

    def _earlier(self) -> Version | None:
        """The version to go back to: of those that were active before this one, the newest that still exists."""
        known = {version.name: version for version in self.versions()}
        active = versions.active_name(self.path)
        for name in reversed(history.activations(self.events())):
            if name != active and name in known:
                return known[name]
        return None

    def _install(self, fill: Callable[[Path], None], why: str) -> Version:
        with self._locked():
            folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.path))
            try:
                fill(folder)
                manifest = read_manifest(folder)
                same = [v for v in self.versions() if v.id_start == manifest.engine_id[:ID_DIGITS]]
                if same:
                    self.verify(same[-1])
                    return same[-1]
                self._check(folder)
                number = self._next_number()
                version = Version(number, self.path / versions.version_name(number, manifest.engine_id))
                _sync_tree(folder)
                folder.chmod(0o755)
                folder.rename(version.path)
                sync_directory(self.path)
                self._record(
                    history.event(Action.ADD, before=versions.active_name(self.path), after=version.name, why=why)
                )
            except (OSError, shutil.Error) as error:
                raise StoreError(f'store "{self.path}": cannot add an engine: {error}') from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return version

    def _next_number(self) -> int:
        """One more than any that ever was: a number never means two engines."""
        recorded = (versions.number_of(event.after or "") or 0 for event in self.events())
        return 1 + max([0, *recorded, *(version.number for version in self.versions())])

    def _switch(self, action: Action, name: str | None, why: str) -> Change:
        before = versions.active_name(self.path)
        if before == name:
            return Change(before, name)
        self._record(history.event(action, before=before, after=name, why=why))
        try:
            if name is None:
                self.active_link.unlink(missing_ok=True)
            else:
                link = self.path / f"{_TEMPORARY}{versions.ACTIVE}"
                link.symlink_to(name)  # relative: the store may be moved
                link.replace(self.active_link)
            sync_directory(self.path)
        except OSError as error:
            raise StoreError(f'"{self.active_link}" cannot be changed: {error.strerror}') from error
        return Change(before, name)

    def _record(self, event: Event) -> None:
        try:
            history.append(self.path / HISTORY_FILE, event)
        except OSError as error:
            raise StoreError(f'"{self.path / HISTORY_FILE}" cannot be written: {error.strerror}') from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the store, and what a killed process left behind is cleared away."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise StoreError(f'store "{self.path}" cannot be changed: {error.strerror}') from error
        try:
            self._take(descriptor)
            self._clear()
            yield
        finally:
            os.close(descriptor)  # releases the lock

    def _take(self, descriptor: int) -> None:
        end = time.monotonic() + self._lock_timeout_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StoreError(f'store "{self.path}" is being changed by another command; try again') from None
                time.sleep(0.02)
            else:
                return

    def _clear(self) -> None:
        for entry in self.path.glob(f"{_TEMPORARY}*"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        changes = [event for event in self.events() if event.action in history.CHANGES]
        active = versions.active_name(self.path)
        if changes and changes[-1].after != active:
            why = f"{changes[-1].action.value} was not completed, or the link was changed by hand"
            self._record(history.event(Action.INTERRUPTED, before=changes[-1].after, after=active, why=why))


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise EngineError(f'"{path}" is a link; only plain files are stored')
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
