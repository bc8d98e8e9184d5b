"""The engines of one product: versioned directories, one of them active, and what was done with them.

    <store>/<product>/
        0001-3f2a9c1b0d4e/     an engine (see `bundle`), never changed; number and start of its id
            signature.minisig  of its archive, when it came with one (see `signed`); not part of the engine
            dossier/, ...      what else was written about it; not part of the engine, not checked, not exported
            reference/         good pictures to compare parts with; no part of it either, see `reference`
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

from engines.bundle.archive import export_archive, open_archive
from engines.bundle.files import DOSSIER_FOLDER, bundle_files, sync_directory, sync_tree, write_synced
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_bundle, read_manifest
from engines.engine import open_engine
from engines.errors import BundleError, StoreError
from engines.signatures.minisign import SecretKey, signature_file
from engines.signatures.trust import ANYBODY, Signer, Trust
from engines.store import history, reference, signed, versions
from engines.store.gate import NOTHING_SAID, Said, answered
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
    signed_by: str = ""
    """The id of the trusted key that has signed `after`; empty: it has no such signature."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An engine as a file."""

    sha256: str
    signature: Path | None
    """The file beside it; None: nobody has signed it."""
    pictures: Path | None = None
    """The file with its reference pictures; None: none were asked for, or it has none."""


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
        self,
        path: Path,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        check: Callable[[Path], None] = run_golden,
        trust: Trust = ANYBODY,
        who: str = "",
    ) -> None:
        """Of what is taken in and activated, `trust` says who must have signed it.

        `who`: stands in the history; empty: the user of this process.

        `check`: raises EngineError unless the engine in a folder gives the scores that it was released with. It runs
        while the store is locked, and what it runs is not trusted yet: a station uses a process with a time limit.
        """
        self.path = path
        self._check = check
        self._trust = trust
        self._who = who
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

    def signer(self, version: Version) -> Signer | None:
        """Who has signed a version; None: nobody who is trusted. Raises SignatureError: the signature is wrong."""
        return signed.signer_of_engine(version.path, self._trust)

    def verify(self, version: Version) -> Signer | None:
        """Check signature, hashes, format and golden scores, on the runtime that would run it; returns who has signed
        it, None: nobody who is trusted. Raises EngineError, also when it would have to be signed.
        """
        manifest_of(version)
        signer = signed.check_may_load(version.path, self._trust)
        self._check(version.path)
        return signer

    # ---- changing -----------------------------------------------------------------------------------------------

    def add(self, engine: Path, *, why: str, extras: Mapping[str, Path] | None = None) -> Version:
        """Copy the engine in directory `engine` into the store; the same engine is not stored twice.

        Args:
            engine: made by `station teach`; a dossier in it comes along.
            why: for the history.
            extras: directories to keep beside the engine's files, by name.
        """

        def fill(folder: Path) -> Signer | None:
            self._copy(engine, folder, extras)
            return signed.signer_of_engine(folder, self._trust)

        return self._install(fill, why)

    def import_folder(
        self, engine: Path, *, why: str = "", sign: SecretKey | None = None, pictures: bool = True
    ) -> Version:
        """Add the engine in a folder that came from outside, signed with `sign` or with the signature in that folder.

        `pictures`: with its reference pictures, if any. Raises SignatureError when one is required and there is none.
        """

        def fill(folder: Path) -> Signer | None:
            if pictures and sign is None:
                reference.check_may_come(engine, self._trust)
            self._copy(engine, folder, None, pictures)
            if sign is not None:
                write_synced(folder / signed.SIGNATURE_FILE, signed.sign_engine(folder, engine.name, sign))
            return signed.signer_of_folder(folder, self._trust, f'folder "{engine}"')

        return self._install(fill, why or f"import of folder {engine.name}")

    def import_archive(
        self, archive: Path, *, why: str = "", sha256: str | None = None, pictures: bool = True
    ) -> Version:
        """Add the engine in an untrusted file made by `export`, whose signature lies beside it.

        `sha256`: what the file must have, in hex; None: not known. Nothing of a file that is refused for its signature
        or hash is unpacked. `pictures`: also take the reference pictures that lie beside it, if any.
        """

        def fill(folder: Path) -> Signer | None:
            with open_archive(archive) as opened:
                digests = opened.digests()
                if sha256 is not None:
                    signed.check_sha256(archive, sha256, digests)
                signature = signed.read_signature(signed.beside(archive))
                signer = signed.signer_of_archive(archive, signature, digests, self._trust)
                opened.unpack(folder)
            if signer is not None and signature is not None:
                signed.check_unpacked(archive, digests, folder)
                write_synced(folder / signed.SIGNATURE_FILE, signature)
            if pictures:
                reference.unpack_beside(archive, folder, self._trust)
            return signer

        return self._install(fill, why or f"import of {archive.name}")

    def export(
        self, version: Version, output: Path, *, sign: SecretKey | None = None, pictures: bool = False
    ) -> Exported:
        """Write a version to one file, and its signature beside it: with `sign`, else the one it came with, if any.

        `pictures`: also its reference pictures, to a file of their own, signed with `sign`.
        """
        manifest = manifest_of(version)
        beside = signed.beside(output)
        for there in (beside, *([reference.beside(output)] if pictures else [])):
            if there.exists():
                raise StoreError(f'"{there}" exists already; choose another file or remove it first')
        kept = signed.read_signature(version.path / signed.SIGNATURE_FILE) if sign is None else None
        digests = export_archive(version.path, output)
        if sign is not None:
            kept = signature_file(sign, digests.blake2b, signed.comment(output.name, manifest.engine_id))
        try:
            if kept is not None:
                write_synced(beside, kept)
                sync_directory(beside.absolute().parent)
        except OSError as error:
            raise StoreError(f'"{beside}" cannot be written: {error.strerror}') from error
        packed = reference.pack_beside(version.path, manifest, output, sign) if pictures else None
        return Exported(digests.sha256, None if kept is None else beside, packed)

    def activate(self, version: Version, *, why: str = "", said: Said = NOTHING_SAID) -> Change:
        """Make a version the active one, after it has been verified and its questions (see `gate`) have an answer."""
        with self._locked():
            signer = self.verify(version)
            answer = answered(manifest_of(version), self.events(), version, said)
            return self._switch(
                Action.ACTIVATE, version.name, "; ".join(text for text in (why, answer) if text), signer
            )

    def rollback(self, *, why: str = "") -> Change:
        """Go back to the version that was active before, after it has been verified. Again: further back."""
        with self._locked():
            before = self.earlier()
            if before is None:
                raise StoreError(
                    f'store "{self.path}": no version was active before this one; see: station engine list'
                )
            return self._switch(Action.ROLLBACK, before.name, why, self.verify(before))

    def refuse(self, change: Change, *, why: str) -> Change | None:
        """Take back `change`, which the station did not accept; None when somebody else has changed it since."""
        with self._locked():
            if versions.active_name(self.path) != change.after:
                return None
            return self._switch(Action.REFUSED, change.before, why)

    def earlier(self) -> Version | None:
        """The version to go back to: of those that were active before this one, the newest that still exists."""
        known = {version.name: version for version in self.versions()}
        active = versions.active_name(self.path)
        for name in reversed(history.activations(self.events())):
            if name != active and name in known:
                return known[name]
        return None

    def _copy(self, engine: Path, folder: Path, extras: Mapping[str, Path] | None, pictures: bool = True) -> None:
        manifest = read_bundle(engine).manifest
        for name in bundle_files(manifest):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(engine / name, folder / name, follow_symlinks=False)
        if pictures:
            reference.copy(engine, folder, manifest)
        dossier = engine / DOSSIER_FOLDER
        beside = {DOSSIER_FOLDER: dossier} if dossier.is_dir() else {}
        for name, source in (beside | dict(extras or {})).items():
            shutil.copytree(source, folder / name, symlinks=True)
        if (signature := signed.read_signature(engine / signed.SIGNATURE_FILE)) is not None:
            write_synced(folder / signed.SIGNATURE_FILE, signature)

    def _install(self, fill: Callable[[Path], Signer | None], why: str) -> Version:
        with self._locked():
            folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.path))
            try:
                signer = fill(folder)
                signed_by = "" if signer is None else signer.key_id
                if signer is None:  # by nobody who is trusted: nothing to keep
                    (folder / signed.SIGNATURE_FILE).unlink(missing_ok=True)
                manifest = read_manifest(folder)
                same = [v for v in self.versions() if v.id_start == manifest.engine_id[:ID_DIGITS]]
                if same:
                    manifest_of(same[-1])
                    self._check(same[-1].path)
                    self._sign(same[-1], folder, signed_by, why)
                    reference.complete(same[-1].path, folder)
                    return same[-1]
                self._check(folder)
                number = self._next_number()
                version = Version(number, self.path / versions.version_name(number, manifest.engine_id))
                sync_tree(folder)
                folder.chmod(0o755)
                folder.rename(version.path)
                sync_directory(self.path)
                before = versions.active_name(self.path)
                self._record(self._event(Action.ADD, before, version.name, why, signed_by))
            except (OSError, shutil.Error) as error:
                raise StoreError(f'store "{self.path}": cannot add an engine: {error}') from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return version

    def _sign(self, version: Version, folder: Path, signed_by: str, why: str) -> None:
        """Gives a version that was there already the signature with which the same engine came again."""
        there = version.path / signed.SIGNATURE_FILE
        if not signed_by or signed.read_signature(there) == signed.read_signature(folder / signed.SIGNATURE_FILE):
            return
        (folder / signed.SIGNATURE_FILE).replace(there)
        sync_directory(version.path)
        before = versions.active_name(self.path)
        self._record(self._event(Action.SIGN, before, version.name, why, signed_by))

    def _next_number(self) -> int:
        """One more than any that ever was: a number never means two engines."""
        recorded = (versions.number_of(event.after or "") or 0 for event in self.events())
        return 1 + max([0, *recorded, *(version.number for version in self.versions())])

    def _switch(self, action: Action, name: str | None, why: str, signer: Signer | None = None) -> Change:
        before = versions.active_name(self.path)
        signed_by = "" if signer is None else signer.key_id
        if before == name:
            return Change(before, name, signed_by)
        self._record(self._event(action, before, name, why, signed_by))
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
        return Change(before, name, signed_by)

    def _event(self, action: Action, before: str | None, after: str | None, why: str, signed_by: str = "") -> Event:
        return history.event(action, before=before, after=after, why=why, signed_by=signed_by, who=self._who)

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
            self._record(self._event(Action.INTERRUPTED, changes[-1].after, active, why))
