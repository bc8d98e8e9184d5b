"""The edge node, rule by rule: each test names the assertions of Sparkplug 3.0 that it shows (`tck-id-...`).

What holds for every message is checked by the strict host behind it in all of them.
"""

from __future__ import annotations

import pytest

from drivers.mqtt.messages import DataType, Metric, Payload
from drivers.mqtt.payload import encode
from station.northbound.sparkplug.edge_node import Connect, Definition, EdgeNode, Reading, State
from station.northbound.sparkplug.names import Names
from tests.northbound.sparkplug.node_bench import NODE, START_MS, Bench


def test_a_session_begins_with_all_births_in_order() -> None:
    """message-flow-edge-node-ncmd-subscribe, message-flow-edge-node-birth-publish-connect, payloads-dbirth-order."""
    bench = Bench()
    bench.do(bench.node.start(START_MS))
    bench.do(bench.node.device_there(True, START_MS))
    assert bench.sent == []
    bench.do(bench.node.connected())
    assert bench.subscribed == ("spBv1.0/plant/NCMD/ST-04",)
    assert bench.sent == [], "a command between birth and subscription would be lost"
    bench.do(bench.node.subscribed(0.0, START_MS))
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    assert bench.sent[0].topic == "spBv1.0/plant/NBIRTH/ST-04"
    assert bench.sent[1].topic == "spBv1.0/plant/DBIRTH/ST-04/line"
    assert bench.host.node.types == {"Software": DataType.STRING, "Waiting": DataType.INT64}


def test_a_birth_tells_the_values_of_now_and_says_which_it_has_not() -> None:
    """operational-behavior-data-publish-nbirth-values, operational-behavior-data-publish-dbirth-values."""
    bench = Bench()
    bench.do(bench.node.publish_device([Reading("Ready", True, START_MS - 10)], START_MS))
    bench.born()
    assert bench.host.device.values == {"Ready": True, "Part/Key": None, "Score": None}


def test_only_what_has_changed_is_sent() -> None:
    """principles-rbe-recommended, topics-ndata-payload, topics-ddata-payload,
    operational-behavior-data-publish-nbirth-change, operational-behavior-data-publish-dbirth-change.
    """
    bench = Bench().born()
    for value in (True, True, False):
        bench.do(bench.node.publish_device([Reading("Ready", value, bench.time_ms)], bench.time_ms))
    bench.do(bench.node.publish_node([Reading("Waiting", 0, bench.time_ms)], bench.time_ms))
    bench.do(bench.node.publish_node([Reading("Waiting", 0, bench.time_ms)], bench.time_ms))
    assert bench.kinds == ["NBIRTH", "DBIRTH", "DDATA", "DDATA", "NDATA"]


def test_numbers_begin_again_behind_255() -> None:
    """topics-ndata-seq-num, payloads-ddata-seq-inc, payloads-sequence-num-incrementing."""
    bench = Bench().born()
    for number in range(600):
        bench.part(f"s/{number}")
    assert bench.sent[256].payload.seq == 0
    assert bench.host.device.values["Part/Key"] == "s/599"


def test_the_number_of_a_connection_goes_on_over_connections_and_restarts() -> None:
    """topics-nbirth-bdseq-increment, message-flow-edge-node-birth-publish-will-message-payload-bdSeq."""
    bench = Bench(last_bd_seq=254).born()
    bench.lose()
    bench.after(60)
    assert bench.bd_seqs == [255, 0]
    (connect,) = EdgeNode(bench.names, NODE, (), last_bd_seq=None).start(START_MS)
    assert isinstance(connect, Connect)
    assert connect.bd_seq == 0, "topics-nbirth-bdseq-increment: the first one"


def test_a_rebirth_is_all_births_under_the_same_number_and_no_death() -> None:
    """operational-behavior-data-commands-rebirth-action-2, operational-behavior-data-commands-rebirth-action-3."""
    bench = Bench().born()
    bench.after(5)
    bench.part("s/1")
    bench.sent.clear()
    bench.ask_rebirth()
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    assert bench.bd_seqs == [0]
    assert bench.host.device.values["Part/Key"] == "s/1"


def test_a_host_that_asks_again_and_again_gets_one_birth_a_second_and_no_data_before() -> None:
    """operational-behavior-data-commands-rebirth-action-1."""
    bench = Bench().born()
    for _ in range(100):
        bench.ask_rebirth()
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    assert not bench.node.takes_parts
    bench.do(bench.node.publish_device([Reading("Ready", True, bench.time_ms)], bench.time_ms))
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    bench.after(1)
    assert bench.kinds == ["NBIRTH", "DBIRTH"] * 2
    assert bench.host.device.values["Ready"] is True


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff",
        b"",
        b"x" * 100_000,
        encode(Payload(1, (Metric("Line/Ready", None, 1, DataType.BOOLEAN, True),)), {}),
        encode(Payload(1, (Metric("Node Control/Rebirth", None, 1, DataType.BOOLEAN, False),)), {}),
        encode(Payload(1, (Metric("Node Control/Rebirth", None, 1, DataType.INT32, 1),)), {}),
        encode(Payload(1, (Metric(None, 1, 1, DataType.INT64, 7),)), {}),
    ],
)
def test_other_commands_do_nothing(payload: bytes) -> None:
    bench = Bench().born()
    bench.after(5)
    for _ in range(100):
        bench.hear(bench.names.of_node("NCMD"), payload)
        bench.hear("spBv1.0/plant/NCMD/other", payload)
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    assert len(bench.said) <= 5, "what others send does not fill the log"


def test_a_line_that_is_silent_is_dead_and_born_again() -> None:
    """operational-behavior-device-ddeath, topics-ddeath-mqtt, topics-ddeath-seq-num."""
    bench = Bench().born()
    bench.do(bench.node.device_there(False, bench.time_ms))
    bench.do(bench.node.publish_device([Reading("Ready", True, bench.time_ms)], bench.time_ms))
    assert not bench.node.takes_parts
    with pytest.raises(ValueError, match="born"):
        bench.part("s/1")
    bench.do(bench.node.device_there(True, bench.time_ms))
    assert bench.kinds == ["NBIRTH", "DBIRTH", "DDEATH", "DBIRTH"]
    assert bench.host.device.values["Ready"] is True


def test_a_line_that_is_not_there_is_not_born() -> None:
    bench = Bench().born(device=False)
    assert bench.kinds == ["NBIRTH"]
    bench.after(2)
    bench.ask_rebirth()
    assert bench.kinds == ["NBIRTH", "NBIRTH"]


def test_a_stop_in_order_says_so_itself() -> None:
    """operational-behavior-edge-node-intentional-disconnect-ndeath, payloads-ndeath-bdseq,
    operational-behavior-edge-node-intentional-disconnect-packet, payloads-ndeath-will-message-publisher.
    """
    bench = Bench().born()
    bench.do(bench.node.stop(bench.time_ms))
    assert bench.kinds[-1] == "NDEATH"
    assert not bench.host.connected
    assert bench.node.next_s is None


def test_stored_values_are_history_and_change_nothing() -> None:
    """`is_historical`."""
    bench = Bench().born()
    bench.part("s/9")
    bench.part("s/1", stored=True)
    assert bench.host.device.values["Part/Key"] == "s/9"
    assert [metric.value for metric in bench.host.history] == ["s/1", 0.5]
    bench.after(2)
    bench.ask_rebirth()
    assert bench.host.device.values["Part/Key"] == "s/9"


def test_pauses_grow_while_no_broker_is_there() -> None:
    bench = Bench(brokers=2)
    bench.do(bench.node.start(START_MS))
    pauses = []
    for _ in range(9):
        bench.host.broken()
        bench.do(bench.node.lost(bench.now_s, "refused"))
        assert bench.node.next_s is not None
        pauses.append(bench.node.next_s - bench.now_s)
        bench.after(pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert bench.brokers == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert len(bench.said) == 4, "1, 2, 4, 8"


# ---- the primary host -------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_host_is_there() -> None:
    """message-flow-edge-node-birth-publish-phid-wait, message-flow-edge-node-birth-publish-phid-wait-online,
    message-flow-edge-node-birth-publish-phid-wait-id, operational-behavior-edge-node-birth-sequence-wait.
    """
    bench = Bench(host="scada").born()
    assert bench.subscribed == ("spBv1.0/plant/NCMD/ST-04", "spBv1.0/STATE/scada")
    assert bench.sent == []
    bench.state(False)
    bench.hear("spBv1.0/STATE/other", b'{"online": true, "timestamp": 1700000000000}')
    bench.state("true")
    bench.state(True, "now")
    bench.state(True, True)
    bench.hear(bench.names.state, b"OFFLINE")
    bench.hear(bench.names.state, b"[" * 900)
    bench.hear(bench.names.state, b"[1]")
    assert bench.sent == []
    bench.state(True)
    assert bench.kinds == ["NBIRTH", "DBIRTH"]


def test_a_host_that_goes_away_ends_the_session() -> None:
    """message-flow-edge-node-birth-publish-phid-offline, operational-behavior-edge-node-termination-host-offline."""
    bench = Bench(host="scada", brokers=2).born()
    bench.state(True, START_MS + 5)
    bench.state(False, START_MS + 5)
    assert bench.kinds == ["NBIRTH", "DBIRTH", "NDEATH"]
    assert not bench.host.connected
    bench.after(1)
    assert bench.brokers == [0, 1], "operational-behavior-edge-node-termination-host-offline-reconnect"


def test_an_older_message_of_the_host_counts_for_nothing() -> None:
    """operational-behavior-edge-node-termination-host-offline-timestamp,
    message-flow-edge-node-birth-publish-phid-wait-timestamp.
    """
    bench = Bench(host="scada").born()
    bench.state(True, START_MS + 5)
    bench.state(False, START_MS + 4)
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    bench.state(False, START_MS + 9)
    bench.after(1)
    bench.do(bench.node.connected())
    bench.do(bench.node.subscribed(bench.now_s, bench.time_ms))
    bench.state(True, START_MS + 8)
    assert bench.kinds == ["NBIRTH", "DBIRTH", "NDEATH"], "it is from before the host went away"
    bench.state(True, START_MS + 9)
    assert bench.kinds[-2:] == ["NBIRTH", "DBIRTH"]


def test_where_the_host_is_not_the_next_broker_is_tried() -> None:
    """operational-behavior-primary-application-state-with-multiple-servers-walk."""
    bench = Bench(host="scada", brokers=2).born()
    bench.state(False)
    assert (bench.node.state, bench.sent) == (State.PAUSED, [])
    bench.after(1)
    assert bench.brokers == [0, 1]
    alone = Bench(host="scada").born()
    alone.state(False)
    assert alone.node.state is State.WAITING, "there is no other one: it waits here"


# ---- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a/b", "a+b", "#", "a\x00", "a\nb", "é" * 65])
def test_names_that_no_topic_holds_are_refused(name: str) -> None:
    """topic-structure-namespace-valid-group-id, topic-structure-namespace-valid-edge-node-id,
    topic-structure-namespace-valid-device-id, intro-group-id-chars, intro-edge-node-id-chars, intro-device-id-chars.
    """
    for fields in ((name, "n", "d"), ("g", name, "d"), ("g", "n", name)):
        with pytest.raises(ValueError, match=r"group|node|device"):
            Names(*fields)


def test_names_that_differ_by_case_only_are_refused() -> None:
    """case-sensitivity-sparkplug-ids, case-sensitivity-metric-names."""
    with pytest.raises(ValueError, match="both"):
        Names("plant", "ST-04", "st-04")
    with pytest.raises(ValueError, match="one name"):
        EdgeNode(
            Names("g", "n", "d"),
            (Definition("a", DataType.INT32), Definition("A", DataType.INT32)),
            (),
            last_bd_seq=None,
        )


def test_a_metric_that_is_in_no_birth_is_never_sent() -> None:
    """topics-nbirth-metric-reqs, topics-dbirth-metric-reqs, operational-behavior-data-publish-nbirth,
    operational-behavior-data-publish-dbirth.
    """
    bench = Bench().born()
    with pytest.raises(ValueError, match="no birth"):
        bench.do(bench.node.publish_device([Reading("New", 1, START_MS)], START_MS))


def test_after_a_lost_connection_the_host_is_asked_anew() -> None:
    """message-flow-edge-node-birth-publish-phid-wait: what it said to another connection does not count."""
    bench = Bench(host="scada").born()
    bench.state(True)
    bench.lose()
    bench.after(60)
    bench.do(bench.node.connected())
    bench.do(bench.node.subscribed(bench.now_s, bench.time_ms))
    assert bench.kinds == ["NBIRTH", "DBIRTH"]
    bench.state(True)
    assert bench.kinds == ["NBIRTH", "DBIRTH"] * 2
