-- The record of the edge: an append-only log of events and the projections that are made from it.
-- Directions are the subscriber's: input = downloaded, output = uploaded, in IP octets.

CREATE TYPE event_type AS ENUM (
    'SESSION_START', 'SESSION_UPDATE', 'SESSION_STOP', 'POLICY_APPLY', 'ROUTER_UPDATE', 'BNG_HEALTH_UPDATE'
);
CREATE TYPE session_state AS ENUM ('PENDING', 'ACTIVE', 'IDLE', 'EXPIRED');
CREATE TYPE auth_state AS ENUM ('PENDING_AUTH', 'AUTHORIZED', 'REJECTED');
CREATE TYPE terminate_cause AS ENUM (
    'User-Request', 'Lost-Carrier', 'Idle-Timeout', 'Session-Timeout', 'Admin-Reset', 'Admin-Reboot', 'NAS-Request',
    'NAS-Reboot', 'Port-Preempted'
);

-- Every event, once. `ts` is fixed by the gateway and the same on every re-send, so it may be part of the key, as the
-- partition key must be.
CREATE TABLE session_events (
    bng_id          text        NOT NULL,
    bng_instance_id uuid        NOT NULL,
    seq             bigint      NOT NULL CHECK (seq > 0),
    ts              timestamptz NOT NULL,
    event_type      event_type  NOT NULL,
    session_id      uuid,
    payload         jsonb       NOT NULL,
    ingested_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bng_id, bng_instance_id, seq, ts)
) PARTITION BY RANGE (ts);
CREATE TABLE session_events_default PARTITION OF session_events DEFAULT;
CREATE INDEX session_events_session ON session_events (session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX session_events_ts ON session_events (ts DESC, bng_instance_id, seq);

-- How far each instance's events are stored without a gap: what the ingestor publishes as committed.
CREATE TABLE instance_progress (
    bng_instance_id uuid   PRIMARY KEY,
    bng_id          text   NOT NULL,
    committed_seq   bigint NOT NULL
);

-- One row a session, for ever: locked in id order before a transaction touches the session's projections, and the
-- memory of which event had the last word: the greatest (stopped, bng_instance_id, last_seq, provisional, event_…) of all.
-- For a provisional stop, (bng_instance_id, last_seq) is the gateway's last event that its author had seen; the stop's own
-- place is (event_instance_id, event_seq), else the two are the same.
CREATE TABLE session_progress (
    session_id        uuid    PRIMARY KEY,
    stopped           boolean,
    bng_instance_id   uuid,
    last_seq          bigint,
    provisional       boolean,
    event_instance_id uuid,
    event_seq         bigint,
    -- Without any: locked by the transaction that is about to write its first word.
    CHECK (num_nulls(stopped, bng_instance_id, last_seq, provisional, event_instance_id, event_seq) IN (0, 6))
);

-- Revisions become visible in commit order: the row is taken as the last step before a transaction writes projections and
-- is held until its commit.
CREATE TABLE session_revision (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    value bigint  NOT NULL
);
INSERT INTO session_revision (value) VALUES (1);

CREATE TABLE sessions_active (
    session_id       uuid          PRIMARY KEY,
    bng_id           text          NOT NULL,
    bng_instance_id  uuid          NOT NULL,
    acct_session_id  text          NOT NULL,
    subscriber       text          NOT NULL,
    circuit_id       bytea         NOT NULL,
    remote_id        bytea         NOT NULL,
    router           text          NOT NULL,
    giaddr           inet,
    mac              macaddr       NOT NULL,
    ip               inet          NOT NULL,
    hostname         text,
    state            session_state NOT NULL,
    auth             auth_state    NOT NULL,
    policy           text,
    down_kbps        bigint,
    up_kbps          bigint,
    input_octets     numeric(20)   NOT NULL,
    output_octets    numeric(20)   NOT NULL,
    input_packets    numeric(20)   NOT NULL,
    output_packets   numeric(20)   NOT NULL,
    started_at       timestamptz   NOT NULL,
    updated_at       timestamptz   NOT NULL,
    lease_expires_at timestamptz   NOT NULL,
    last_seq         bigint        NOT NULL,
    revision         bigint        NOT NULL
);
CREATE INDEX sessions_active_bng ON sessions_active (bng_id, session_id);
CREATE INDEX sessions_active_attachment ON sessions_active (bng_id, circuit_id, remote_id, started_at DESC);
CREATE INDEX sessions_active_ip ON sessions_active (ip);
CREATE INDEX sessions_active_mac ON sessions_active (mac);
CREATE INDEX sessions_active_revision ON sessions_active (revision);

-- The session that an attachment has now, should two overlap for a moment.
CREATE VIEW current_sessions AS
    SELECT DISTINCT ON (bng_id, circuit_id, remote_id) *
    FROM sessions_active ORDER BY bng_id, circuit_id, remote_id, started_at DESC, session_id DESC;

CREATE TABLE sessions_history (
    session_id       uuid            PRIMARY KEY,
    bng_id           text            NOT NULL,
    bng_instance_id  uuid            NOT NULL,
    acct_session_id  text            NOT NULL,
    subscriber       text            NOT NULL,
    circuit_id       bytea           NOT NULL,
    remote_id        bytea           NOT NULL,
    router           text            NOT NULL,
    giaddr           inet,
    mac              macaddr         NOT NULL,
    ip               inet            NOT NULL,
    hostname         text,
    auth             auth_state      NOT NULL,
    policy           text,
    down_kbps        bigint,
    up_kbps          bigint,
    input_octets     numeric(20)     NOT NULL,
    output_octets    numeric(20)     NOT NULL,
    input_packets    numeric(20)     NOT NULL,
    output_packets   numeric(20)     NOT NULL,
    started_at       timestamptz     NOT NULL,
    ended_at         timestamptz     NOT NULL CHECK (ended_at >= started_at),
    during           tstzrange       NOT NULL GENERATED ALWAYS AS (tstzrange(started_at, ended_at, '[]')) STORED,
    terminate_cause  terminate_cause NOT NULL,
    terminate_detail text            NOT NULL,
    provisional      boolean         NOT NULL,
    last_seq         bigint          NOT NULL,
    revision         bigint          NOT NULL
);
CREATE INDEX sessions_history_during ON sessions_history USING gist (during);
CREATE INDEX sessions_history_bng ON sessions_history (bng_id, ended_at DESC, session_id);
CREATE INDEX sessions_history_ended ON sessions_history (ended_at DESC, session_id);
CREATE INDEX sessions_history_revision ON sessions_history (revision);

-- The greatest cumulative counters seen in each five-minute bucket; differences are made when they are read.
CREATE TABLE session_traffic (
    session_id    uuid        NOT NULL,
    bucket        timestamptz NOT NULL,
    bng_id        text        NOT NULL,
    input_octets  numeric(20) NOT NULL,
    output_octets numeric(20) NOT NULL,
    PRIMARY KEY (session_id, bucket)
);
CREATE INDEX session_traffic_bng ON session_traffic (bng_id, bucket);

CREATE TABLE access_routers (
    bng_id     text        NOT NULL,
    raw_id     bytea       NOT NULL,
    name       text        NOT NULL,
    giaddr     inet,
    alive      boolean     NOT NULL,
    rtt_us     bigint,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    bng_instance_id uuid   NOT NULL,
    last_seq   bigint      NOT NULL,
    PRIMARY KEY (bng_id, raw_id)
);

CREATE TABLE bng_registry (
    bng_id          text        PRIMARY KEY,
    bng_instance_id uuid        NOT NULL,
    last_seq        bigint      NOT NULL,
    first_seen      timestamptz NOT NULL,
    last_seen       timestamptz NOT NULL
);

CREATE TABLE bng_health_events (
    bng_id          text             NOT NULL,
    bng_instance_id uuid             NOT NULL,
    seq             bigint           NOT NULL,
    ts              timestamptz      NOT NULL,
    cpu_cores       double precision NOT NULL,
    memory_bytes    bigint           NOT NULL,
    sessions        bigint           NOT NULL,
    authorized      bigint           NOT NULL,
    uptime_seconds  bigint           NOT NULL,
    PRIMARY KEY (bng_id, bng_instance_id, seq)
);
CREATE INDEX bng_health_events_ts ON bng_health_events (bng_id, ts DESC);

-- Entries that can never be ingested, with the reason; nothing is thrown away.
CREATE TABLE dead_letters (
    entry_id        text        PRIMARY KEY,
    fields          jsonb       NOT NULL,
    reason          text        NOT NULL,
    failed_at       timestamptz NOT NULL DEFAULT now(),
    -- The place of the event, where that much could be read: it counts as committed.
    bng_instance_id uuid,
    seq             bigint
);
CREATE INDEX dead_letters_place ON dead_letters (bng_instance_id, seq);

-- A mirror of the custom resources, written by the operator alone.
CREATE TABLE kube_status (
    kind        text        NOT NULL,
    namespace   text        NOT NULL,
    name        text        NOT NULL,
    uid         uuid        NOT NULL,
    generation  bigint      NOT NULL,
    phase       text        NOT NULL,
    conditions  jsonb       NOT NULL,
    node        text,
    spec        jsonb       NOT NULL,
    observed_at timestamptz NOT NULL,
    PRIMARY KEY (kind, namespace, name)
);
