"""Whose engines a station takes: the public keys in one folder, and whether an engine must be signed by one of them.

Loads nothing that reads an engine or computes a signature: the configuration holds a `Trust`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.errors import SignatureError
from engines.signatures.minisign import (
    MAX_KEY_BYTES,
    PublicKey,
    check_signature,
    parse_public_key,
    parse_signature,
    read_plain,
)

Requirement = Literal["no", "import", "load"]
"""Where a signature is asked for. `import`: of what comes into the store from outside. `load`: also of every engine
that is to be active."""
MAX_KEYS = 64


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has signed an engine; checked."""

    key_id: str
    file: str
    """The trusted key's file, without its folder."""
    comment: str
    """What the signer wrote into the trusted comment."""

    def __str__(self) -> str:
        return f"key {self.key_id} ({self.file})"


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that a station trusts, and what it requires."""

    folder: Path | None
    """Holds public keys of minisign, `*.pub`; None: no key is trusted."""
    required: Requirement = "no"

    def keys(self) -> dict[str, tuple[str, PublicKey]]:
        """File name and key by key id; none when there is no such folder. Raises SignatureError."""
        found: dict[str, tuple[str, PublicKey]] = {}
        if self.folder is None:
            return found
        try:
            files = sorted(path for path in self.folder.iterdir() if path.suffix == ".pub")
        except FileNotFoundError:
            return found
        except OSError as error:
            raise SignatureError(f'trusted keys "{self.folder}" cannot be read: {error.strerror}') from error
        if len(files) > MAX_KEYS:
            raise SignatureError(f'trusted keys "{self.folder}": {len(files)} files, at most {MAX_KEYS} are allowed')
        for file in files:
            try:
                key = parse_public_key(read_plain(file, MAX_KEY_BYTES), f'trusted key "{file}"')
            except FileNotFoundError as error:
                raise SignatureError(f'trusted key "{file}" leads to a file that is not there') from error
            other, same = found.get(key.key_id, (file.name, key))
            if same != key:
                raise SignatureError(
                    f'trusted keys "{self.folder}": {other} and {file.name} are different keys with the id '
                    f"{key.key_id}; remove the one that is not to be trusted"
                )
            found[key.key_id] = (other, key)
        return found

    def signer(self, signature: bytes, digest: bytes, where: str, file: str) -> Signer | None:
        """Who has signed a file with this BLAKE2b-512.

        `where` names the signature in messages, `file` what it is for. None: by a key that is not trusted here, and no
        signature is required. Raises SignatureError.
        """
        parsed = parse_signature(signature, where)
        keys = self.keys()
        if parsed.key_id not in keys:
            if self.required == "no":
                return None
            raise SignatureError(
                f"{where} is by key {parsed.key_id}, which is not trusted; {self._trusted(keys)}. If that key is to be "
                f'trusted: its public key as "{self.folder}/NAME.pub"'
            )
        name, key = keys[parsed.key_id]
        check_signature(parsed, key, digest, where, file)
        return Signer(key.key_id, name, parsed.comment)

    def missing(self, file: str, where: str) -> SignatureError:
        """What to raise where a signature is required and there is none; `where` is expected to be it."""
        return SignatureError(
            f'{file} has no signature ({where}), and [engine] require_signature = "{self.required}"; '
            f"{self._trusted(self.keys())}"
        )

    def _trusted(self, keys: dict[str, tuple[str, PublicKey]]) -> str:
        named = ", ".join(f"{key_id} ({name})" for key_id, (name, _) in keys.items())
        return f"trusted: {named}" if named else f'"{self.folder}" holds no trusted key'


ANYBODY = Trust(None)
"""Nobody is known and everybody may: for engines that are only looked at."""
