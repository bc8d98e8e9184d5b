-- The schema of the fleet: what stations send to PostgreSQL (13 or newer). A person installs it who may create roles:
--     station fleet schema | psql --dbname plant
-- Again at any time: views, functions and rights are brought up to date, rows stay.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL client_min_messages = warning;

DO $$
DECLARE
    found integer;
BEGIN
    IF to_regclass('station_fleet.version') IS NOT NULL THEN
        SELECT version INTO found FROM station_fleet.version;
        IF found <> 1 THEN
            RAISE EXCEPTION 'the schema station_fleet of database % has version %, this script knows 1; use the '
                'station whose script knows it, or another database', current_database(), found;
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'station_writer') THEN
        CREATE ROLE station_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'station_reader') THEN
        CREATE ROLE station_reader NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'station_refresher') THEN
        CREATE ROLE station_refresher NOLOGIN;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS station_fleet;

CREATE TABLE IF NOT EXISTS station_fleet.version (version integer NOT NULL);
INSERT INTO station_fleet.version SELECT 1 WHERE NOT EXISTS (SELECT FROM station_fleet.version);

-- What stations write is version 1, before and behind a step: they go on while the database is brought up to date, and
-- may be brought up to date before or after it. Step 2: a user of the database sees and writes his own stations alone.
ALTER TABLE station_fleet.version ADD COLUMN IF NOT EXISTS step integer NOT NULL DEFAULT 1;
DO $$
BEGIN
    IF (SELECT step FROM station_fleet.version) > 2 THEN
        RAISE EXCEPTION 'the schema station_fleet of database % has step %, this script knows 2; use the station whose '
            'script knows it', current_database(), (SELECT step FROM station_fleet.version);
    END IF;
END
$$;
UPDATE station_fleet.version SET step = 2;

-- A row a station: who it is, how far it has sent, how it does.
CREATE TABLE IF NOT EXISTS station_fleet.stations (
    station text PRIMARY KEY,
    instance text,  -- of the computer that sends under this name; NULL: the next one that comes
    sequence bigint NOT NULL DEFAULT 0,  -- of the last transaction
    software text NOT NULL DEFAULT '',
    seen_at timestamptz,  -- by the clock of the server
    clock_ahead_s double precision,  -- of the station, against the server
    waiting bigint NOT NULL DEFAULT 0,  -- parts on record that are not here yet
    oldest_waiting timestamptz,  -- trigger of the first of them
    left_out bigint NOT NULL DEFAULT 0,  -- parts that were deleted before they could be sent
    last_event bigint,
    last_event_mark text,
    last_label bigint,
    last_label_mark text
);

-- The user of the database to whom the station belongs: the first one that sends under its name, or whom the owner says.
-- NULL: nobody yet. The default comes after the column, else it would be set in the rows that are there.
ALTER TABLE station_fleet.stations ADD COLUMN IF NOT EXISTS db_user name;
ALTER TABLE station_fleet.stations ALTER COLUMN db_user SET DEFAULT current_user;

CREATE OR REPLACE FUNCTION station_fleet.claim_station() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.db_user IS NULL AND NEW.instance IS NOT NULL THEN  -- a computer sends; hand_over names none
        NEW.db_user := current_user;
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS claim_station ON station_fleet.stations;
CREATE TRIGGER claim_station BEFORE UPDATE ON station_fleet.stations
    FOR EACH ROW EXECUTE FUNCTION station_fleet.claim_station();

-- Parts: all that are not PASS, and as many of the others as each station is configured to send.
CREATE TABLE IF NOT EXISTS station_fleet.parts (
    station text NOT NULL,
    session text NOT NULL,
    acquisition_id bigint NOT NULL,
    wall_time timestamptz NOT NULL,  -- of the trigger, by the clock of the station
    part_id bigint NOT NULL,
    verdict text NOT NULL,
    reason integer NOT NULL,  -- code of the first one, 0: none
    reasons jsonb NOT NULL,
    score real,
    reject_score real,
    defect_area_mm2 real,
    kind text NOT NULL,
    recipe text NOT NULL,
    engine_id text NOT NULL,
    recipe_checksum text NOT NULL,
    config_checksum text NOT NULL,
    batch bigint,
    challenge bigint,  -- NULL: production
    late boolean NOT NULL,
    signalled_ms real,  -- after the trigger
    acknowledged_ms real,
    views jsonb NOT NULL,
    sequence bigint NOT NULL,  -- of the transaction that brought it: the higher one holds
    PRIMARY KEY (station, session, acquisition_id, wall_time)
) PARTITION BY RANGE (wall_time);
CREATE INDEX IF NOT EXISTS parts_by_time ON station_fleet.parts USING brin (wall_time);
CREATE TABLE IF NOT EXISTS station_fleet.parts_other PARTITION OF station_fleet.parts DEFAULT;

-- All parts, counted: a row a minute, recipe, engine, verdict and first reason. A sum of the same key only grows.
CREATE TABLE IF NOT EXISTS station_fleet.minutes (
    station text NOT NULL,
    session text NOT NULL,
    minute timestamptz NOT NULL,
    recipe text NOT NULL,
    engine_id text NOT NULL,
    verdict text NOT NULL,
    reason integer NOT NULL,
    production boolean NOT NULL,
    parts bigint NOT NULL,
    late bigint NOT NULL,
    signalled bigint NOT NULL,  -- parts with a time of the signal
    signalled_sum_ms double precision NOT NULL,
    signalled_max_ms double precision,
    PRIMARY KEY (station, minute, session, recipe, engine_id, verdict, reason, production)
) PARTITION BY RANGE (minute);
CREATE TABLE IF NOT EXISTS station_fleet.minutes_other PARTITION OF station_fleet.minutes DEFAULT;

CREATE TABLE IF NOT EXISTS station_fleet.engines (
    station text NOT NULL,
    engine_id text NOT NULL,
    recipe text NOT NULL,
    first_part timestamptz NOT NULL,
    last_part timestamptz NOT NULL,
    PRIMARY KEY (station, engine_id, recipe)
);

CREATE TABLE IF NOT EXISTS station_fleet.events (
    station text NOT NULL,
    session text NOT NULL,
    event bigint NOT NULL,
    wall_time timestamptz NOT NULL,
    kind text NOT NULL,
    level text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (station, session, event, wall_time)
);
CREATE INDEX IF NOT EXISTS events_by_time ON station_fleet.events USING brin (wall_time);

-- Every word of a person on a part, as it was said; see the view last_labels.
CREATE TABLE IF NOT EXISTS station_fleet.labels (
    station text NOT NULL,
    decision bigint NOT NULL,
    at timestamptz NOT NULL,
    session text NOT NULL,
    acquisition_id bigint NOT NULL,
    camera text,  -- NULL: the part, whatever view
    wall_time timestamptz NOT NULL,  -- of the part
    label text NOT NULL,
    defect_class text,
    severity text,
    comment text NOT NULL,
    reviewer text NOT NULL,
    role text NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (station, decision, at)
);

-- Refresh in one place: a row each engine that is to be made for a station, taken by workers with FOR UPDATE SKIP LOCKED.
CREATE TABLE IF NOT EXISTS station_fleet.refresh_jobs (
    job bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    round text NOT NULL,  -- what one `station fleet refresh` asked for
    station text NOT NULL,
    recipe text NOT NULL,
    parts integer NOT NULL,  -- at most as many are learned from
    options jsonb NOT NULL,  -- of the teaching
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    most_tries integer NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'withdrawn')),
    tries integer NOT NULL DEFAULT 0,
    worker text NOT NULL DEFAULT '',
    leased_until timestamptz,  -- by the clock of the server; once it is over the worker counts as lost
    began_at timestamptz,  -- of the last try
    ended_at timestamptz,
    step text NOT NULL DEFAULT '',
    step_done integer NOT NULL DEFAULT 0,
    step_total integer NOT NULL DEFAULT 0,
    detail text NOT NULL DEFAULT '',  -- why the last try came to nothing
    core_s double precision,  -- processor time of the try that made it
    product text,
    engine_id text,
    archive_sha256 text,  -- its name in the folder of results
    archive_bytes bigint,
    report jsonb,
    released_at timestamptz,  -- into a channel
    sequence bigint  -- of that channel
);
-- One refresh of a station and recipe at a time, however many people ask.
CREATE UNIQUE INDEX IF NOT EXISTS refresh_jobs_open ON station_fleet.refresh_jobs (station, recipe)
    WHERE state IN ('waiting', 'running');
CREATE INDEX IF NOT EXISTS refresh_jobs_round ON station_fleet.refresh_jobs (round);

-- What the codes mean.
CREATE TABLE IF NOT EXISTS station_fleet.reasons (code integer PRIMARY KEY, name text NOT NULL);

-- Partitions of these days (UTC) and of the week to come. A day that no clock should show, more than 400 days ago or
-- more than 8 ahead, gets none: such rows lie in parts_other and minutes_other.
CREATE OR REPLACE FUNCTION station_fleet.make_days(days date[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    today date := now()::date;
    day date;
    parent text;
    child text;
    by_time text;
    made integer := 0;
BEGIN
    FOR day IN
        SELECT DISTINCT d FROM unnest(days || ARRAY(SELECT today + n FROM generate_series(0, 7) AS n)) AS d
        WHERE d BETWEEN today - 400 AND today + 8 ORDER BY d
    LOOP
        FOREACH parent IN ARRAY ARRAY['parts', 'minutes'] LOOP
            child := parent || '_' || to_char(day, 'YYYYMMDD');
            by_time := CASE parent WHEN 'parts' THEN 'wall_time' ELSE 'minute' END;
            CONTINUE WHEN to_regclass('station_fleet.' || child) IS NOT NULL;
            PERFORM pg_advisory_xact_lock(40, 1);
            CONTINUE WHEN to_regclass('station_fleet.' || child) IS NOT NULL;
            EXECUTE format('CREATE TABLE station_fleet.%I (LIKE station_fleet.%I INCLUDING ALL)', child, parent);
            EXECUTE format(
                'WITH moved AS (DELETE FROM station_fleet.%1$I WHERE %2$I >= %3$L::date AND %2$I < %4$L::date '
                'RETURNING *) INSERT INTO station_fleet.%5$I SELECT * FROM moved',
                parent || '_other', by_time, day, day + 1, child);
            EXECUTE format(
                'ALTER TABLE station_fleet.%I ATTACH PARTITION station_fleet.%I FOR VALUES FROM (%L) TO (%L)',
                parent, child, day, day + 1);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- For whoever owns the schema, once a day: partitions that are older than this are gone with their rows.
CREATE OR REPLACE FUNCTION station_fleet.drop_days(keep_parts integer, keep_minutes integer) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    child text;
BEGIN
    FOR child IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            JOIN pg_class AS p ON p.oid = i.inhparent JOIN pg_namespace AS n ON n.oid = p.relnamespace
        WHERE n.nspname = 'station_fleet' AND c.relname ~ '_[0-9]{8}$' AND to_date(right(c.relname, 8), 'YYYYMMDD')
            < now()::date - CASE p.relname WHEN 'parts' THEN keep_parts ELSE keep_minutes END
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE station_fleet.%I', child);
        RETURN NEXT child;
    END LOOP;
END
$$;

-- For whoever owns the schema: another computer takes the place, and the name, of this station, with the user of the
-- database that it has; whoever sends first.
CREATE OR REPLACE FUNCTION station_fleet.hand_over(name text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH changed AS (UPDATE station_fleet.stations SET instance = NULL, db_user = NULL WHERE station = name RETURNING 1)
    SELECT EXISTS (SELECT FROM changed)
$$;

-- For whoever owns the schema: this station, there or not yet, is this user's of the database, and nobody else's.
CREATE OR REPLACE FUNCTION station_fleet.assign(name text, login text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO station_fleet.stations (station, db_user) SELECT name, rolname FROM pg_roles WHERE oid = login::regrole
    ON CONFLICT (station) DO UPDATE SET db_user = excluded.db_user
$$;

-- What a station has sent of each hour: compared with the same of its records, nothing is missing or twice.
CREATE OR REPLACE FUNCTION station_fleet.hours(name text)
RETURNS TABLE (hour timestamptz, parts bigint, hash text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT date_trunc('hour', wall_time), count(*),
        md5(string_agg(session || '/' || acquisition_id || '/' || verdict, ' ' ORDER BY session COLLATE "C", acquisition_id))
    FROM station_fleet.parts WHERE station = name GROUP BY 1
$$;

DROP VIEW IF EXISTS station_fleet.fleet, station_fleet.yield_by_hour, station_fleet.latency_by_hour,
    station_fleet.reasons_by_day, station_fleet.engine_versions, station_fleet.unsent, station_fleet.last_labels;

CREATE VIEW station_fleet.yield_by_hour AS
    SELECT station, date_trunc('hour', minute) AS hour, recipe, sum(parts) AS parts,
        sum(parts) FILTER (WHERE verdict = 'PASS') AS passed,
        coalesce(sum(parts) FILTER (WHERE verdict = 'PASS'), 0) / sum(parts) AS yield,
        coalesce(sum(parts) FILTER (WHERE verdict = 'FAIL'), 0) / sum(parts) AS reject_rate,
        coalesce(sum(parts) FILTER (WHERE verdict = 'REVIEW'), 0) / sum(parts) AS review_rate,
        coalesce(sum(parts) FILTER (WHERE verdict = 'ERROR'), 0) / sum(parts) AS error_rate
    FROM station_fleet.minutes WHERE production GROUP BY 1, 2, 3;

CREATE VIEW station_fleet.latency_by_hour AS
    SELECT station, date_trunc('hour', minute) AS hour, sum(parts) AS parts,
        sum(signalled_sum_ms) / nullif(sum(signalled), 0) AS mean_ms, max(signalled_max_ms) AS max_ms,
        sum(late) AS late, sum(parts) - sum(signalled) AS without_signal
    FROM station_fleet.minutes GROUP BY 1, 2;

CREATE VIEW station_fleet.reasons_by_day AS
    SELECT m.station, date_trunc('day', m.minute) AS day, m.recipe, m.verdict, m.reason,
        coalesce(r.name, m.reason::text) AS name, sum(m.parts) AS parts
    FROM station_fleet.minutes AS m LEFT JOIN station_fleet.reasons AS r ON r.code = m.reason
    WHERE m.production AND m.verdict <> 'PASS' GROUP BY 1, 2, 3, 4, 5, 6;

CREATE VIEW station_fleet.engine_versions AS
    SELECT station, recipe, engine_id, first_part, last_part,
        last_part = max(last_part) OVER (PARTITION BY station, recipe) AS is_newest
    FROM station_fleet.engines;

CREATE VIEW station_fleet.unsent AS
    SELECT station, seen_at, extract(epoch FROM now() - seen_at)::double precision AS silent_s, waiting,
        CASE WHEN waiting > 0 THEN extract(epoch FROM now() - oldest_waiting)::double precision ELSE 0 END AS unsent_age_s,
        left_out, clock_ahead_s, software
    FROM station_fleet.stations;

CREATE VIEW station_fleet.last_labels AS
    SELECT * FROM (
        SELECT DISTINCT ON (station, session, acquisition_id, camera) * FROM station_fleet.labels
        ORDER BY station, session, acquisition_id, camera, decision DESC) AS said
    WHERE kind <> 'undo' AND label <> 'unsure';

-- A row a station: the last hour, and whether it is heard.
CREATE VIEW station_fleet.fleet AS
    SELECT u.station, u.silent_s, u.waiting, u.unsent_age_s, u.left_out, u.clock_ahead_s, u.software,
        coalesce(m.parts, 0) AS parts_last_hour, m.yield AS yield_last_hour, m.errors AS errors_last_hour,
        m.mean_ms, m.max_ms, e.engine_id, e.recipe
    FROM station_fleet.unsent AS u
    LEFT JOIN LATERAL (
        SELECT sum(parts) AS parts, coalesce(sum(parts) FILTER (WHERE verdict = 'PASS'), 0) / sum(parts) AS yield,
            coalesce(sum(parts) FILTER (WHERE verdict = 'ERROR'), 0) AS errors,
            sum(signalled_sum_ms) / nullif(sum(signalled), 0) AS mean_ms, max(signalled_max_ms) AS max_ms
        FROM station_fleet.minutes
        WHERE station = u.station AND production AND minute > now() - interval '1 hour' AND minute <= now()
    ) AS m ON true
    LEFT JOIN LATERAL (
        SELECT engine_id, recipe FROM station_fleet.engines WHERE station = u.station ORDER BY last_part DESC LIMIT 1
    ) AS e ON true;

-- Row security: who sends sees and writes the rows of his own stations, whoever reads sees all that he was granted. A
-- station is his where the row of it in `stations` shows itself to him. The owner of the tables, whose rights views and
-- make_days have, sees all.
DO $$
DECLARE
    name text;
    reads constant text := '(SELECT NOT pg_has_role(current_user, ''station_writer'', ''MEMBER'') '
        'OR pg_has_role(current_user, ''station_reader'', ''MEMBER''))';
    own constant text := 'station IN (SELECT s.station FROM station_fleet.stations AS s '
        'WHERE s.db_user IS NULL OR s.db_user = current_user)';
BEGIN
    FOREACH name IN ARRAY ARRAY['stations', 'parts', 'minutes', 'engines', 'events', 'labels'] LOOP
        EXECUTE format('ALTER TABLE station_fleet.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('DROP POLICY IF EXISTS reads_all ON station_fleet.%I', name);
        EXECUTE format('CREATE POLICY reads_all ON station_fleet.%I FOR SELECT USING (%s)', name, reads);
        EXECUTE format('DROP POLICY IF EXISTS own_stations ON station_fleet.%I', name);
        IF name <> 'stations' THEN
            EXECUTE format('CREATE POLICY own_stations ON station_fleet.%I TO station_writer USING (%s)', name, own);
        END IF;
    END LOOP;
END
$$;
CREATE POLICY own_stations ON station_fleet.stations TO station_writer
    USING (db_user IS NULL OR db_user = current_user) WITH CHECK (db_user = current_user);

REVOKE ALL ON FUNCTION station_fleet.make_days(date[]), station_fleet.drop_days(integer, integer),
    station_fleet.hand_over(text), station_fleet.assign(text, text), station_fleet.hours(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA station_fleet TO station_writer, station_reader;
GRANT SELECT ON station_fleet.version TO station_writer;
GRANT SELECT, INSERT, UPDATE ON station_fleet.stations, station_fleet.parts, station_fleet.minutes,
    station_fleet.engines TO station_writer;
GRANT SELECT, INSERT ON station_fleet.events, station_fleet.labels TO station_writer;
GRANT EXECUTE ON FUNCTION station_fleet.make_days(date[]) TO station_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA station_fleet TO station_reader;
GRANT USAGE ON SCHEMA station_fleet TO station_refresher;
GRANT SELECT ON station_fleet.version, station_fleet.stations, station_fleet.parts, station_fleet.engines,
    station_fleet.labels, station_fleet.last_labels TO station_refresher;
GRANT SELECT, INSERT, UPDATE ON station_fleet.refresh_jobs TO station_refresher;
GRANT EXECUTE ON FUNCTION station_fleet.hours(text) TO station_reader;
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO station_writer', current_database());
END
$$;
