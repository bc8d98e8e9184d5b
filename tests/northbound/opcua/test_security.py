"""Who may connect: certificates that are foreign, expired or of another name are refused, and the reason is said."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client as AsyncuaClient
from asyncua import ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from drivers.opcua.certificates import CertificateError, check_own, look_at, own
from tests.northbound.opcua.client import Client, Papers, Refused, client, papers
from tests.northbound.opcua.system import PASSWORD, Bench, bench

OURS = "urn:edge-inspection-station:ST-04"


@pytest.fixture(scope="module")
def station(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("station"), anonymous=False, commands="none") as opened:
        yield opened


@pytest.fixture(scope="module")
def plant(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with client(modules, tmp_path_factory.mktemp("client")) as opened:
        yield opened


def refused(station: Bench, plant: Client, who: Papers, **more: str) -> tuple[str, str]:
    """What the client hears, and what the station says of it."""
    station.refused.clear()
    with pytest.raises(Refused) as found:
        plant.connect(station.port, who, user="anna", password=PASSWORD, **more)
    return str(found.value), " ".join(f"{one} {why}" for one, why in station.refused)


def by_itself(what: Coroutine[Any, Any, None]) -> None:
    """On a thread of its own: that of the tests may have the loop of a browser."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, what).result()


async def with_another_key(port: int, known: Papers, strange: Papers, certificates: Path) -> None:
    """Signs with a key that is not that of the certificate, which node-opcua does not let anybody do."""
    other = AsyncuaClient(f"opc.tcp://127.0.0.1:{port}", timeout=3)
    server, key = certificates / "own" / "station.der", strange.key.with_name("key.pem")
    key.write_bytes(strange.key.read_bytes())
    await other.set_security(
        SecurityPolicyBasic256Sha256, str(known.certificate), str(key), server_certificate=str(server)
    )
    other.application_uri = known.uri
    async with other:
        pass


async def without_security(port: int) -> None:
    """node-opcua does not even try what no endpoint offers."""
    other = AsyncuaClient(f"opc.tcp://127.0.0.1:{port}", timeout=10)
    other.set_user("anna")
    other.set_password(PASSWORD)
    async with other:
        pass


@pytest.mark.system
@pytest.mark.timeout(400)
def test_bad_certificates_are_refused_and_good_ones_taken(station: Bench, plant: Client, tmp_path: Path) -> None:
    foreign = papers(tmp_path / "foreign")
    heard, said = refused(station, plant, foreign)
    assert "BadCertificateUntrusted" in heard
    assert "is not in" in said
    assert "to trust it: mv" in said
    kept = next((station.certificates / "rejected").iterdir())
    assert kept.read_bytes() == foreign.der, "for whoever wants to trust it"

    expired = papers(tmp_path / "expired", days=(-30, -1))
    station.trust(expired.der, "expired")
    heard, said = refused(station, plant, expired)
    assert "BadCertificateTimeInvalid" in heard or "Invalid" in heard
    assert "is good from" in said

    known, strange = papers(tmp_path / "known"), papers(tmp_path / "strange")
    station.trust(known.der, "known")
    with pytest.raises((ua.UaError, OSError, TimeoutError, asyncio.TimeoutError)):
        by_itself(with_another_key(station.port, known, strange, station.certificates))

    mine = papers(tmp_path / "mine")
    station.trust(mine.der, "mine")
    station.refused.clear()
    with pytest.raises(Refused):
        plant.connect(station.port, mine, user="anna", password="wrong")
    assert "wrong name or password" in station.refused[0][1]
    with pytest.raises(Refused):
        plant.connect(station.port, mine)  # nobody
    with pytest.raises(ua.UaError):
        by_itself(without_security(station.port))
    assert any("neither signs nor encrypts" in why for _, why in station.refused)
    for policy in ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"):
        plant.connect(station.port, mine, user="anna", password=PASSWORD, policy=policy)
        assert plant.call("VisionStateMachine/Halt", ["Int32", 0], ["String", ""])[0] == "BadNotExecutable"
        plant.ask("disconnect")


def test_the_own_certificate_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    certificate, key = own(tmp_path, OURS, ("127.0.0.1", "station.example"))
    assert key.stat().st_mode & 0o777 == 0o600
    before = certificate.read_bytes()
    assert own(tmp_path, OURS, ("127.0.0.1",)) == (certificate, key)
    assert certificate.read_bytes() == before, "clients trust this one"
    names = x509.load_der_x509_certificate(before).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [OURS]
    assert names.get_values_for_type(x509.DNSName) == ["station.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    with pytest.raises(CertificateError, match=r"is of .*ST-04, this station is urn:other"):
        check_own(tmp_path, "urn:other")
    key.chmod(0o640)
    with pytest.raises(CertificateError, match="chmod 600"):
        check_own(tmp_path, OURS)
    key.chmod(0o600)
    certificate.write_bytes(before[:100])
    with pytest.raises(CertificateError, match="is no certificate"):
        check_own(tmp_path, OURS)


@pytest.mark.parametrize(
    ("days", "uri", "trusted", "status"),
    [
        ((-1, 30), "urn:a", True, None),
        ((-1, 30), "urn:a", False, "BadCertificateUntrusted"),
        ((-9, -1), "urn:a", True, "BadCertificateTimeInvalid"),
        ((1, 9), "urn:a", True, "BadCertificateTimeInvalid"),
        ((-1, 30), "urn:b", True, "BadCertificateUriInvalid"),
    ],
)
def test_a_client_is_looked_at(
    tmp_path: Path, days: tuple[int, int], uri: str, trusted: bool, status: str | None
) -> None:
    mine = papers(tmp_path / "client", "urn:a", days=days)
    if trusted:
        (tmp_path / "trusted").mkdir()
        (tmp_path / "trusted" / "a.der").write_bytes(mine.der)
    found = look_at(mine.der, uri, tmp_path)
    assert (None if found is None else found.status) == status


def test_an_authority_may_be_trusted_in_place_of_each_client(tmp_path: Path) -> None:
    authority = papers(tmp_path / "authority", "urn:plant:authority", ca=True)
    key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    by = (x509.load_der_x509_certificate(authority.der), key)
    mine = papers(tmp_path / "client", by=by)
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "authority.pem").write_bytes(authority.certificate.read_bytes())
    assert look_at(mine.der, mine.uri, tmp_path) is None
    other = papers(tmp_path / "other", ca=True)
    same_name = (
        x509.load_der_x509_certificate(authority.der),
        serialization.load_pem_private_key(other.key.read_bytes(), None),
    )
    forged = papers(tmp_path / "forged", by=same_name)
    found = look_at(forged.der, forged.uri, tmp_path)
    assert found is not None
    assert found.status == "BadCertificateUntrusted", "signed by a key of somebody else in its name"
    broken = look_at(mine.der[:50], mine.uri, tmp_path)
    assert broken is not None
    assert broken.status == "BadCertificateInvalid"
    (tmp_path / "trusted" / "junk.der").write_bytes(b"junk")
    with pytest.raises(CertificateError, match="remove it"):
        look_at(mine.der, mine.uri, tmp_path)
