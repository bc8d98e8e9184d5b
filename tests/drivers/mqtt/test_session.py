"""A session with a real broker: the will, order, marks, refusals."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.mqtt.messages import DataType, Metric, Payload, Publication
from drivers.mqtt.payload import decode
from drivers.mqtt.session import Broker, Connected, Event, Heard, Lost, Marked, Session, SessionError, Subscribed
from tests.bench.broker import MosquittoBroker, mosquitto
from tests.bench.programs import require_program
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system
TYPES = {1: DataType.INT64}


def message(topic: str, number: int) -> Publication:
    return Publication(topic, Payload(number, (Metric(None, 1, number, None, number),), seq=number % 256))


@contextmanager
def session(broker: MosquittoBroker, name: str = "a", **fields: object) -> Iterator[Session]:
    where = Broker("127.0.0.1", broker.port, encrypted=False, **fields)  # type: ignore[arg-type]
    opened = Session(where, name, message(f"will/{name}", 7), TYPES)
    try:
        yield opened
    finally:
        opened.close()


def until(opened: Session, kind: type[Event]) -> Event:
    """The next event of this kind."""
    found: list[Event] = []

    def came() -> bool:
        event = opened.next_event(1.0)
        if isinstance(event, kind):
            found.append(event)
        return bool(found)

    wait_for(came, kind.__name__)
    return found[0]


def hears(opened: Session, topics: tuple[str, ...]) -> None:
    """Connected, and subscribed to these topics."""
    until(opened, Connected)
    opened.subscribe(topics)
    until(opened, Subscribed)


def test_what_is_published_arrives_in_order_and_a_mark_says_so(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, session(broker) as station, session(broker, "host") as host:
        for one in (station, host):
            hears(one, ("data/#",) if one is host else ("orders",))
        for number in range(500):
            station.publish(message("data/x", number))
        station.mark(499)
        assert until(station, Marked) == Marked(499)
        numbers = []
        for _ in range(500):
            heard = until(host, Heard)
            assert isinstance(heard, Heard)
            numbers.append(decode(heard.payload).time_ms)
        assert numbers == list(range(500))


def test_nothing_is_retained_and_no_session_outlives_its_connection(tmp_path: Path) -> None:
    """payloads-nbirth-retain, payloads-dbirth-retain, payloads-ndata-retain, payloads-ddata-retain,
    message-flow-edge-node-birth-publish-nbirth-retained, message-flow-device-birth-publish-dbirth-retained,
    message-flow-edge-node-birth-publish-will-message-will-retained, payloads-ndeath-will-message-retain,
    principles-persistence-clean-session-311.
    """
    with mosquitto(tmp_path) as broker, session(broker, "late") as late:
        until(late, Connected)
        with session(broker) as station:
            hears(station, ("orders",))
            station.publish(message("data/x", 1))
            station.mark(1)
            until(station, Marked)
        gone = Session(Broker("127.0.0.1", broker.port, encrypted=False), "gone", message("will/gone", 7), TYPES)
        until(gone, Connected)
        gone.close(in_order=False)
        with session(broker) as again:
            until(again, Connected)
            late.publish(message("orders", 3))
            late.subscribe(("data/#", "will/#"))
            until(late, Subscribed)
            again.subscribe(("other",))
            until(again, Subscribed)
            assert again.next_event(0.2) is None, "it subscribed to orders in another connection"
        heard = late.next_event(0.2)
        while heard is not None:  # the will may come while it listens; nothing that was there before
            assert isinstance(heard, Heard)
            assert heard.topic == "will/gone"
            heard = late.next_event(0.2)


def test_the_broker_tells_the_will_of_who_is_gone_and_not_of_who_says_goodbye(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, session(broker, "host") as host:
        hears(host, ("will/#",))
        where = Broker("127.0.0.1", broker.port, encrypted=False)
        polite, gone = (Session(where, name, message(f"will/{name}", 7), TYPES) for name in ("polite", "gone"))
        until(polite, Connected)
        until(gone, Connected)
        polite.close()
        gone.close(in_order=False)
        heard = until(host, Heard)
        assert isinstance(heard, Heard)
        assert heard.topic == "will/gone"


def test_a_broker_that_is_killed_or_absent_is_said(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, session(broker) as station:
        until(station, Connected)
        broker.kill()
        assert str(broker.port) in until(station, Lost).why  # type: ignore[union-attr]
        with pytest.raises(SessionError, match=str(broker.port)):
            Session(Broker("127.0.0.1", broker.port, encrypted=False), "b", message("will/b", 1), TYPES)
    with pytest.raises(SessionError, match="no-such-host"):
        Session(Broker("no-such-host.invalid", 1883, encrypted=False), "b", message("will/b", 1), TYPES)


def test_a_wrong_password_is_refused_and_is_in_no_message(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    require_program("mosquitto")
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "station", "right"], check=True)
    passwords.chmod(0o644)
    with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}") as broker:
        with session(broker, user="station", password="right") as station:
            until(station, Connected)
        with session(broker, user="station", password="s3cret") as station:
            lost = until(station, Lost)
            assert "not authori" in lost.why.lower()  # type: ignore[union-attr]
            assert "s3cret" not in str(lost)


def test_what_comes_faster_than_it_is_read_is_dropped_and_counted(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, session(broker) as flooded, session(broker, "b") as other:
        for one in (flooded, other):
            hears(one, ("flood",) if one is flooded else ("orders",))
        for number in range(3000):
            other.publish(message("flood", number))
        other.mark(1)
        until(other, Marked)
        flooded.mark(2)
        wait_for(lambda: flooded.dropped > 0, "messages to be dropped")
        assert until(flooded, Marked) == Marked(2), "what the broker confirms is never dropped"


def test_a_certificate_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", str(key), "-out", str(certificate),
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]  # fmt: skip
    subprocess.run(make, check=True, capture_output=True)
    key.chmod(0o644)
    more = f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}"
    with mosquitto(tmp_path, more) as broker:
        trusted = Session(
            Broker("localhost", broker.port, encrypted=True, ca_file=certificate), "a", message("w", 1), TYPES
        )
        until(trusted, Connected)
        trusted.close()
        for where in (
            Broker("localhost", broker.port, encrypted=True),
            Broker("127.0.0.1", broker.port, encrypted=True, ca_file=certificate),
        ):
            with pytest.raises(SessionError, match="certificate"):
                Session(where, "a", message("w", 1), TYPES)
