"""What arrives: every part once, sums of all, nothing twice, and the later word holds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.forwarding.progress import Cursor
from station.labels.labels import decide, withdraw
from station.labels.schema import labels_beside
from station.labels.schema import open_writer as open_labels
from station.labels.writing import Reviewer
from station.northbound.postgres.connector import BEAT_S, FILL_S, LOOK_S
from station.northbound.postgres.rows import Policy
from station.records.parts import part_row
from station.results import Decision, Reason, Verdict
from tests.bench.postgres import PostgresServer
from tests.bench.sample_parts import PartMaker
from tests.northbound.postgres.station import NOON, Station, hours_of, parts_at

pytestmark = pytest.mark.system
COUNT = "SELECT count(*) FROM station_fleet."
SUM = "SELECT sum(parts)::int FROM station_fleet.minutes"
BY_VERDICT = "SELECT verdict, sum(parts)::int FROM station_fleet.minutes GROUP BY 1 ORDER BY 1"


def test_every_part_arrives_once_however_often_it_is_sent(station: Station) -> None:
    station.drain()
    station.record(parts_at(1, 400))
    station.drain()
    assert station.hours() == hours_of(station.records)
    assert len(station.hours()) == 3, "400 parts each 20 s are of three hours"
    assert station.ask(BY_VERDICT) == [("FAIL", 134), ("PASS", 133), ("REVIEW", 133)]
    before = station.ask("TABLE station_fleet.minutes")
    station.again_from(150)
    station.drain()
    station.again_from(0)
    station.drain()
    assert station.hours() == hours_of(station.records)
    assert sorted(map(str, station.ask("TABLE station_fleet.minutes"))) == sorted(map(str, before))
    assert (station.progress.sent, station.progress.left_out) == (400 + 250 + 400, 0)


def test_in_batches_of_any_size_the_sums_are_the_same(station: Station) -> None:
    station.batch = 7
    station.start()
    station.drain()
    station.record(parts_at(1, 100, every_s=1.7))
    station.drain()
    assert station.hours() == hours_of(station.records)
    assert station.ask(SUM) == [(100,)]
    mean = station.ask(
        "SELECT sum(signalled_sum_ms) / sum(signalled), max(signalled_max_ms) FROM station_fleet.minutes"
    )
    assert mean == [(pytest.approx(20.0), pytest.approx(20.0))], "signalled after 20 ms"


def test_only_what_the_policy_takes_has_a_row_and_the_sums_count_all(station: Station) -> None:
    station.policy = Policy(9)
    station.start()
    station.drain()
    station.record(parts_at(1, 90))
    station.drain()
    found = station.ask("SELECT verdict, count(*)::int FROM station_fleet.parts GROUP BY 1 ORDER BY 1")
    assert found == [("FAIL", 30), ("PASS", 10), ("REVIEW", 30)]
    assert station.ask(SUM) == [(90,)]
    assert station.ask("SELECT sum(parts)::int, sum(passed)::int FROM station_fleet.yield_by_hour") == [(90, 30)]


def test_what_is_sent_later_holds(station: Station) -> None:
    station.drain()
    station.record(parts_at(1, 3))
    station.drain()
    station.change("UPDATE parts SET late = 1, late_verdict = 'PASS' WHERE acquisition_id = 2")
    station.again_from(1)
    station.drain()
    late = station.ask("SELECT acquisition_id, late FROM station_fleet.parts ORDER BY 1")
    assert late == [(1, False), (2, True), (3, False)]
    station.ask("UPDATE station_fleet.parts SET sequence = 1000, late = false")
    station.again_from(0)
    station.drain()
    assert station.ask("SELECT bool_or(late) FROM station_fleet.parts") == [(False,)], (
        "theirs is of a later transaction"
    )


def test_rows_that_retention_deleted_make_no_sum_smaller(station: Station) -> None:
    station.drain()
    station.record(parts_at(1, 30, every_s=1.0))
    station.drain()
    station.change("DELETE FROM views WHERE part <= 12", "DELETE FROM parts WHERE id <= 12")
    station.again_from(0)
    station.drain()
    assert station.ask(SUM) == [(30,)]
    assert station.ask(COUNT + "parts") == [(30,)]


def test_events_arrive_once_and_again_when_the_records_are_others(station: Station) -> None:
    station.record([])
    station.change(
        "INSERT INTO events (session, wall_time, kind, level, detail) VALUES ('s1', 1.0, 'old', 'info', 'before')"
    )
    station.drain()

    def enter(kind: str, session: str, at: float) -> None:
        station.change(
            "INSERT INTO events (session, wall_time, kind, level, detail) "
            f"VALUES ('{session}', {at}, '{kind}', 'info', '')"
        )

    for kind in ("first", "second"):
        enter(kind, "s1", station.now)
    station.drain()
    kinds = "SELECT kind FROM station_fleet.events WHERE kind NOT LIKE 'station%%' ORDER BY event"
    assert station.ask(kinds) == [("first",), ("second",)]
    station.start()
    station.drain()
    assert station.ask(kinds) == [("first",), ("second",)]
    for file in station.records.glob("records.db*"):
        file.unlink()
    station.record([], "s2")
    for number in range(6):
        enter(f"new {number}", "s2", station.now if number else 1.0)
    station.drain()
    assert [kind for (kind,) in station.ask(kinds) if "new" in kind] == [f"new {number}" for number in range(1, 6)]


def test_words_of_people(station: Station) -> None:
    station.drain()
    station.record(parts_at(1, 2))
    station.drain()
    row = replace(part_row(parts_at(1, 1)[0]))
    with closing(open_labels(labels_beside(station.records))) as labels:
        decide(
            labels, row, "defective", Reviewer("Anna", "operator"), defect_class="dent", new_class="major", comment="a"
        )
        decide(labels, row, "good", Reviewer("Ben", "quality"))
    station.drain()
    station.drain()
    said = station.ask("SELECT label, defect_class, severity, reviewer FROM station_fleet.labels ORDER BY decision")
    assert said == [("defective", "dent", "major", "Anna"), ("good", None, None, "Ben")]
    assert station.ask("SELECT label FROM station_fleet.last_labels") == [("good",)]
    with closing(open_labels(labels_beside(station.records))) as labels:
        withdraw(labels, row, Reviewer("Ben", "quality"))
    station.drain()
    assert station.ask("SELECT label FROM station_fleet.last_labels") == []
    assert station.ask(COUNT + "labels") == [(3,)]


def test_texts_that_postgresql_cannot_keep_stop_nothing(station: Station) -> None:
    station.drain()
    nasty = Decision(Verdict.FAIL, (Reason(ReasonCode.SCORE_ABOVE_LIMIT, "a\0b '); DROP TABLE x; --\\N\t"),))
    parts = [replace(one, decision=nasty, recipe="r\0") for one in parts_at(1, 3)]
    station.record(parts)
    station.drain()
    assert station.progress.parked == 0
    found = station.ask("SELECT recipe, reasons->0->>'text' FROM station_fleet.parts WHERE acquisition_id = 1")
    assert found[0][0] == "r\ufffd"
    assert "a\ufffdb '); DROP TABLE x; --\\N\t" in found[0][1]


def test_a_day_that_no_clock_should_show_has_no_partition_and_its_rows_are_kept(station: Station) -> None:
    station.drain()
    station.record([*parts_at(1, 3), *parts_at(4, 6, 0.0), *parts_at(7, 9, NOON + 40 * 86_400)])
    station.drain()
    assert station.hours() == hours_of(station.records)
    assert station.ask(COUNT + "parts_other") == [(6,)]
    days = "SELECT count(*) FROM pg_tables WHERE schemaname = 'station_fleet' AND tablename LIKE 'parts_2%%'"
    assert station.ask(days) == [(9,)], "yesterday, today and a week"


def test_rows_of_the_future_move_into_their_partition_when_its_day_comes(station: Station) -> None:
    station.drain()
    later = NOON + 5 * 86_400
    name = f"parts_{datetime.fromtimestamp(later, timezone.utc):%Y%m%d}"
    station.ask("SELECT station_fleet.make_days('{}')")
    station.ask(f"DROP TABLE station_fleet.{name}")  # as if that day were too far away still
    station.record(parts_at(1, 4, later))
    station.sender._days.add(datetime.fromtimestamp(later, timezone.utc).date())
    station.drain()
    assert station.ask(COUNT + "parts_other") == [(4,)]
    station.start()
    station.again_from(2)
    station.drain()
    assert station.ask(f"{COUNT}parts_other") == [(0,)]
    assert station.ask(f"{COUNT}{name}") == [(4,)]
    assert station.ask("SELECT * FROM station_fleet.drop_days(-10, 400)")[-1] != ()
    assert station.ask(COUNT + "parts") == [(0,)]


def test_two_stations_may_have_the_same_sessions(station: Station, server: PostgresServer, tmp_path: Path) -> None:
    other = Station(tmp_path / "other", server, station.database, "ST-05")
    for one, parts in ((station, 5), (other, 7)):
        one.drain()
        one.record(parts_at(1, parts))
        one.drain()
    assert station.ask("SELECT station, count(*)::int FROM station_fleet.parts GROUP BY 1 ORDER BY 1") == [
        ("ST 04/ü", 5), ("ST-05", 7),
    ]  # fmt: skip
    other.close()


def test_another_computer_under_the_same_name_is_refused_until_it_is_handed_over(
    station: Station, server: PostgresServer, tmp_path: Path
) -> None:
    station.drain()
    other = Station(tmp_path / "other", server, station.database)
    other.record(parts_at(1, 2))
    other.drain()
    assert "another computer sends under the name" in other.progress.detail if other.cursors.of("postgres") else False
    assert station.ask(COUNT + "parts") == [(0,)]
    assert station.ask("SELECT station_fleet.hand_over('ST 04/ü'), station_fleet.hand_over('x')") == [(True, False)]
    other.again_from(0)
    other.drain()
    assert station.ask(COUNT + "parts") == [(2,)]
    station.record(parts_at(3, 3))
    station.drain()
    assert "another computer" in station.progress.detail
    other.close()


def test_the_views_of_the_fleet(station: Station) -> None:
    station.drain()
    base = datetime.now(timezone.utc).timestamp()
    make = PartMaker()
    parts = [make.inspected(n, Verdict.PASS if n < 9 else Verdict.FAIL) for n in range(1, 11)]
    station.record([replace(one, part=replace(one.part, wall_time=base - 60 - n)) for n, one in enumerate(parts)])
    station.drain()
    columns = "parts_last_hour::int, yield_last_hour::float, mean_ms, waiting, engine_id, software"
    fleet = f"SELECT {columns} FROM station_fleet.fleet"
    assert station.ask(fleet) == [(10, pytest.approx(0.8), pytest.approx(20.0), 0, "e" * 64, "1.2.3")]
    reasons = "SELECT name, sum(parts)::int FROM station_fleet.reasons_by_day GROUP BY 1"
    assert station.ask(reasons) == [("SCORE_ABOVE_LIMIT", 2)]
    assert station.ask("SELECT engine_id, is_newest FROM station_fleet.engine_versions") == [("e" * 64, True)]
    ((rate,),) = station.ask("SELECT sum(reject_rate * parts) / sum(parts) FROM station_fleet.yield_by_hour")
    assert float(rate) == pytest.approx(0.2)
    assert station.ask("SELECT sum(parts)::int, max(max_ms) FROM station_fleet.latency_by_hour") == [
        (10, pytest.approx(20))
    ]
    station.batch = 4
    station.start()
    station.again_from(1)
    station.now += 31
    station.connector.step()
    ((waiting, age, silent, ahead),) = station.ask(
        "SELECT waiting, unsent_age_s, silent_s, clock_ahead_s FROM station_fleet.unsent"
    )
    assert waiting == 5
    assert 60 < age < 120
    assert silent < 60
    assert ahead == pytest.approx(station.now - base, abs=60)


def test_a_batch_that_is_not_full_waits_a_little_and_a_beat_says_that_it_is_there(station: Station) -> None:
    station.drain()
    station.record(parts_at(1, 2))
    station.now += FILL_S - 1
    assert station.connector.step() == LOOK_S
    assert station.progress.sent == 0
    station.now += 2
    station.connector.step()
    assert station.progress.sent == 2
    seen = station.ask("SELECT seen_at FROM station_fleet.stations")
    station.now += BEAT_S - 1
    station.connector.step()
    assert station.ask("SELECT seen_at FROM station_fleet.stations") == seen
    station.now += 2
    station.connector.step()
    assert station.ask("SELECT seen_at FROM station_fleet.stations") > seen


def test_a_part_that_the_server_refuses_alone_is_parked(station: Station) -> None:
    station.drain()
    station.ask("ALTER TABLE station_fleet.parts ADD CONSTRAINT no_three CHECK (acquisition_id <> 3)")
    station.record(parts_at(1, 6))
    station.drain()
    station.drain()
    assert station.ask("SELECT array_agg(acquisition_id ORDER BY acquisition_id) FROM station_fleet.parts") == [
        ([1, 2, 4, 5, 6],)
    ]
    (parked,) = station.cursors.parked("postgres")
    assert parked.acquisition_id == 3
    assert "no_three" in parked.why
    assert station.progress.cursor == Cursor(6, "s1", 6)
    station.ask("ALTER TABLE station_fleet.parts ADD CONSTRAINT nothing CHECK (acquisition_id < 7)")
    station.record(parts_at(7, 30))
    station.drain()
    assert "for 10 parts in a row" in station.progress.detail, "it is the server's fault"
    assert station.progress.parked == 11
