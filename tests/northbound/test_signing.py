"""The signature is that of Standard Webhooks, and no message shows a secret."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from station.northbound.signing import SecretError, Secrets, read_secrets
from tests.bench.programs import needs_program
from tests.bench.receiver import KEY, SECRET, signed_by, write_secret


def test_the_example_of_the_specification_has_its_signature() -> None:
    """Of the libraries of Standard Webhooks (test vectors that all of them share)."""
    secrets = Secrets((base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),))
    headers = secrets.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.system
@needs_program("openssl")
def test_openssl_finds_the_same() -> None:
    headers = Secrets((KEY,)).headers("a/b/1", b"{}", 1_700_000_000)
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{KEY.hex()}", "-binary"],
        input=b"a/b/1.1700000000.{}", capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert headers["webhook-signature"] == "v1," + base64.b64encode(done.stdout).decode()


def test_two_secrets_sign_so_that_a_receiver_can_change(tmp_path: Path) -> None:
    other = bytes(reversed(KEY))
    file = write_secret(tmp_path, SECRET, "whsec_" + base64.b64encode(other).decode())
    headers = read_secrets(file).headers("x", b"body", 5)
    assert signed_by(KEY, headers, b"body")
    assert signed_by(other, headers, b"body")
    assert not signed_by(KEY, headers, b"bodx")
    assert not signed_by(KEY, headers | {"webhook-timestamp": "6"}, b"body")
    assert not signed_by(KEY, headers | {"webhook-id": "y"}, b"body")
    assert not signed_by(b"z" * 32, headers, b"body")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "0 lines"),
        ("hunter2\n", "line 1: no whsec_ followed by base64"),
        ("whsec_hunter2!\n", "line 1: no whsec_"),
        ("whsec_aHVudGVyMg==\n", "line 1: 7 bytes; allowed: 24 to 64"),
        (f"{SECRET}\n{SECRET}\n{SECRET}\n", "3 lines"),
        (f"{SECRET}\nhunter2\n", "line 2"),
        ("\0" * 9000, "allowed: one secret"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_never_shown(tmp_path: Path, content: str, words: str) -> None:
    file = write_secret(tmp_path, content.rstrip("\n")) if content else write_secret(tmp_path, "")
    with pytest.raises(SecretError) as refused:
        read_secrets(file)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "openssl rand" in str(refused.value), "it says how to make one"


def test_a_secret_that_everybody_may_read_is_none(tmp_path: Path) -> None:
    file = write_secret(tmp_path)
    file.chmod(0o644)
    with pytest.raises(SecretError, match="everybody on this computer may read it; do: chmod o="):
        read_secrets(file)
    with pytest.raises(SecretError, match="cannot be read"):
        read_secrets(tmp_path / "none")


def test_nobody_sees_a_secret_in_a_trace() -> None:
    assert repr(Secrets((KEY,))) == "Secrets()"
