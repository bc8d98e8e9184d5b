"""Signatures in minisign's format: what its own program writes is taken, what it must refuse is refused."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.errors import SignatureError
from engines.signatures.minisign import MAX_SIGNATURE_BYTES, SUFFIX, parse_signature, read_plain, signature_file
from engines.signatures.secret_key import read_secret_key
from engines.signatures.trust import Trust
from tests.bench.engines.signing import Keys, make_keys
from tests.bench.programs import require_program

pytest.importorskip("cryptography")


@dataclass(frozen=True)
class Signed:
    """A file, its signature, and the folder with the keys that are trusted."""

    file: Path
    signature: Path
    keys: Keys

    @property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.file.read_bytes()).digest()

    def trust(self, **options: str) -> Trust:
        return Trust(self.keys.trusted, options.get("required", "import"))  # type: ignore[arg-type]

    def checked(self, content: bytes | None = None) -> str:
        content = self.signature.read_bytes() if content is None else content
        signer = self.trust().signer(content, self.digest, "the signature", "the file")
        assert signer is not None
        return f"{signer}: {signer.comment}"


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    keys = make_keys(tmp_path)
    file = tmp_path / "e.tar"
    file.write_bytes(b"an engine" * 1000)
    signature = tmp_path / f"e.tar{SUFFIX}"
    digest = hashlib.blake2b(file.read_bytes()).digest()
    signature.write_bytes(signature_file(read_secret_key(keys.secret, str), digest, "of line 1"))
    return Signed(file, signature, keys)


def test_what_is_signed_here_is_trusted_here(signed: Signed) -> None:
    assert signed.checked() == f"key {signed.keys.key_id} (line.pub): of line 1"
    assert signed.checked(signed.signature.read_bytes().replace(b"\n", b"\r\n")).endswith("of line 1")  # by Windows


def test_a_trusted_comment_is_one_line(signed: Signed) -> None:
    key = read_secret_key(signed.keys.secret, str)
    content = signature_file(key, signed.digest, "file:a\nb\x1b[2J\tü")
    assert signed.checked(content).endswith(": file:a?b?[2J\tü")


Change = Callable[[list[bytes]], list[bytes]]


def exchanged(line: int, content: bytes) -> Change:
    return lambda lines: [content if number == line else old for number, old in enumerate(lines)]


def of_kind(kind: bytes) -> Change:
    def change(lines: list[bytes]) -> list[bytes]:
        return exchanged(1, base64.b64encode(kind + base64.b64decode(lines[1])[2:]))(lines)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: lines[:3], "3 lines, 4 are expected: it was cut off"),
        (lambda lines: lines[:1], "1 lines, 4 are expected: it was cut off"),
        (lambda lines: [*lines, b"more"], "5 lines, 4 are expected"),
        (lambda lines: [b""], "line 1 does not begin with 'untrusted comment: '"),
        (exchanged(1, b"RUQ"), "line 2 is not base64"),
        (exchanged(1, b"RUQAAAAA"), "line 2 holds 6 bytes, 74 are expected: it was cut off"),
        (exchanged(1, b"<html>"), "line 2 is not base64"),
        (exchanged(2, b"comment: x"), "line 3 does not begin with"),
        (exchanged(2, b"trusted comment: of line 2"), "its trusted comment was changed after key"),
        (exchanged(3, base64.b64encode(bytes(64))), "its trusted comment was changed after key"),
        (exchanged(3, base64.b64encode(bytes(65))), "line 4 holds 65 bytes, 64 are expected"),
        (of_kind(b"Ed"), "of the old kind"),
        (of_kind(b"XX"), "algorithm b'XX'"),
    ],
)
def test_what_is_no_whole_signature_is_refused(signed: Signed, change: Change, expected: str) -> None:
    content = b"\n".join(change(signed.signature.read_bytes().splitlines())) + b"\n"
    with pytest.raises(SignatureError, match="the signature") as refused:
        signed.checked(content)
    assert expected in str(refused.value)


def test_another_file_is_refused(signed: Signed) -> None:
    signed.file.write_bytes(signed.file.read_bytes() + b"\0")
    with pytest.raises(SignatureError, match="the signature does not belong to the file: this was changed after key"):
        signed.checked()


def test_a_key_that_is_not_trusted(signed: Signed, tmp_path: Path) -> None:
    foreign = make_keys(tmp_path / "foreign")
    content = signature_file(read_secret_key(foreign.secret, str), signed.digest, "")
    with pytest.raises(SignatureError, match=f"is by key {foreign.key_id}, which is not trusted; trusted: ") as refused:
        signed.checked(content)
    assert f"{signed.keys.key_id} (line.pub)" in str(refused.value)
    trust = Trust(signed.keys.trusted, "no")
    assert trust.signer(content, signed.digest, "the signature", "the file") is None
    # who only claims to be a trusted key is refused, whatever is required
    claimed = parse_signature(signed.signature.read_bytes(), "").value
    forged = base64.b64decode(content.splitlines()[1])
    own = base64.b64decode(signed.signature.read_bytes().splitlines()[1])
    lines = content.splitlines()
    lines[1] = base64.b64encode(own[:10] + forged[10:])
    assert claimed not in forged
    with pytest.raises(SignatureError, match="does not belong"):
        trust.signer(b"\n".join(lines), signed.digest, "the signature", "the file")


def test_no_trusted_key(signed: Signed, tmp_path: Path) -> None:
    content = signed.signature.read_bytes()
    for folder in (tmp_path / "none", tmp_path):  # not there; without a key in it
        with pytest.raises(SignatureError, match="holds no trusted key"):
            Trust(folder, "load").signer(content, signed.digest, "s", "f")
    assert 'require_signature = "load"' in str(Trust(tmp_path, "load").missing("e.tar", "e.tar.minisig"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1 does not begin with"),
        (b"untrusted comment: x\nRWQAAA\n", "no public key of minisign: line 2"),
        (bytes(5000), "has 5000 bytes, at most 4096 are allowed"),
    ],
)
def test_a_trusted_key_that_is_none_is_named(signed: Signed, content: bytes, expected: str) -> None:
    (signed.keys.trusted / "other.pub").write_bytes(content)
    with pytest.raises(SignatureError, match=r"other\.pub") as refused:
        signed.checked()
    assert expected in str(refused.value)


def test_two_keys_with_one_id_are_refused_and_one_key_twice_is_not(signed: Signed, tmp_path: Path) -> None:
    public = signed.keys.trusted / "line.pub"
    (signed.keys.trusted / "same.pub").write_bytes(public.read_bytes())
    signed.checked()
    other = base64.b64decode(make_keys(tmp_path / "other").public.read_bytes().splitlines()[1])
    line = base64.b64decode(public.read_bytes().splitlines()[1])
    content = b"untrusted comment: x\n" + base64.b64encode(line[:10] + other[10:])
    (signed.keys.trusted / "same.pub").write_bytes(content)
    with pytest.raises(SignatureError, match=r"line\.pub and same\.pub are different keys with the id"):
        signed.checked()


def test_a_file_that_is_too_large_or_no_file_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.minisig"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SignatureError, match=f"1099511627776 bytes, at most {MAX_SIGNATURE_BYTES} are allowed"):
        read_plain(huge, MAX_SIGNATURE_BYTES)
    os.mkfifo(tmp_path / "pipe.minisig")
    for path in (tmp_path / "pipe.minisig", tmp_path):
        with pytest.raises(SignatureError, match=r"not a plain file|cannot be read"):
            read_plain(path, MAX_SIGNATURE_BYTES)


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_byte_that_differs_never_ends_in_another_signature(signed: Signed, data: st.DataObject) -> None:
    content = bytearray(signed.signature.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    try:
        signed.checked(bytes(content))
    except SignatureError:
        return
    assert parse_signature(bytes(content), "") == parse_signature(signed.signature.read_bytes(), "")


@given(content=st.binary(max_size=400))
def test_whatever_the_bytes_there_is_a_clear_refusal(content: bytes) -> None:
    with pytest.raises(SignatureError, match=r"^it is no signature"):
        parse_signature(content, "it")


# ---- secret keys --------------------------------------------------------------------------------------------------


def test_secret_keys_that_cannot_be_used(signed: Signed, tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match=r"none\.key\" is not there; make one: minisign -G"):
        read_secret_key(tmp_path / "none.key", str)
    with pytest.raises(SignatureError, match="is no secret key of minisign: line 2 holds 42 bytes, 158 are expected"):
        read_secret_key(signed.keys.public, str)
    head, body = signed.keys.secret.read_bytes().splitlines()
    content = bytearray(base64.b64decode(body))
    content[70] ^= 1
    (tmp_path / "damaged.key").write_bytes(head + b"\n" + base64.b64encode(content))
    with pytest.raises(SignatureError, match="it is damaged"):
        read_secret_key(tmp_path / "damaged.key", str)
    content[2:4] = b"Xy"
    (tmp_path / "damaged.key").write_bytes(head + b"\n" + base64.b64encode(content))
    with pytest.raises(SignatureError, match="it is of kind"):
        read_secret_key(tmp_path / "damaged.key", str)


def test_a_password(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, password="line 1")
    plain = make_keys(tmp_path / "plain")
    assert read_secret_key(keys.secret, lambda: "line 1").key_id == keys.key_id
    with pytest.raises(SignatureError, match="the password is another one"):
        read_secret_key(keys.secret, lambda: "line 2")
    with pytest.raises(SignatureError, match=r"takes 65536 MiB of memory to check"):
        read_secret_key(make_keys(tmp_path / "large", password="x", memory=64 << 30).secret, lambda: "x")
    assert "seed" not in repr(read_secret_key(plain.secret, str))


# ---- Debian's minisign ----------------------------------------------------------------------------------------------


def minisign(*arguments: object, input: str = "") -> str:
    command = [require_program("minisign"), *map(str, arguments)]
    done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.system
def test_minisign_takes_ours_and_ours_takes_that_of_minisign(signed: Signed, tmp_path: Path) -> None:
    said = minisign("-V", "-p", signed.keys.public, "-m", signed.file)
    assert "Signature and comment signature verified\nTrusted comment: of line 1" in said

    public, secret = signed.keys.trusted / "plant.pub", tmp_path / "plant.key"
    minisign("-G", "-W", "-p", public, "-s", secret)
    key = read_secret_key(secret, str)
    assert f"minisign public key {key.key_id}" in public.read_text()
    minisign("-S", "-s", secret, "-m", signed.file, "-t", "by the plant")
    assert signed.checked() == f"key {key.key_id} (plant.pub): by the plant"

    signed.signature.write_bytes(signature_file(key, signed.digest, "with the plant's key"))
    assert "Trusted comment: with the plant's key" in minisign("-V", "-p", public, "-m", signed.file)

    minisign("-S", "-l", "-s", secret, "-m", signed.file)
    with pytest.raises(SignatureError, match="of the old kind"):
        signed.checked()


@pytest.mark.system
def test_a_key_with_a_password_made_by_minisign(signed: Signed, tmp_path: Path) -> None:
    public, secret = signed.keys.trusted / "plant.pub", tmp_path / "plant.key"
    minisign("-G", "-p", public, "-s", secret, input="line 1\nline 1\n")
    key = read_secret_key(secret, lambda: "line 1")
    assert signed.checked(signature_file(key, signed.digest, "x")) == f"key {key.key_id} (plant.pub): x"
