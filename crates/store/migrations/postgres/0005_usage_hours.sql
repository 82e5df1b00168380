-- Usage by hour, with the last use in the same row, and a journal of what is not in it yet.

-- What a program that still runs would add meanwhile must not be lost.
LOCK TABLE usage_minutes, key_activity IN ACCESS EXCLUSIVE MODE;

CREATE TABLE usage_hours (
    key_id TEXT COLLATE "C" NOT NULL,
    -- Hours since 1970, UTC.
    hour BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    successful BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    -- The last check that passed.
    last_used_at BIGINT,
    PRIMARY KEY (key_id, hour)
);

INSERT INTO usage_hours (key_id, hour, project_id, successful, failed, rate_limited)
SELECT key_id, minute / 60, MIN(project_id), SUM(successful), SUM(failed), SUM(rate_limited)
FROM usage_minutes GROUP BY key_id, minute / 60;

-- A last use is in the hour in which it was counted; where that hour is not there, nothing is told of
-- the project.
INSERT INTO usage_hours (key_id, hour, project_id, successful, failed, rate_limited, last_used_at)
SELECT key_id, last_used_at / 3600000000, '', 0, 0, 0, last_used_at FROM key_activity WHERE true
ON CONFLICT (key_id, hour) DO UPDATE SET last_used_at = excluded.last_used_at;

DROP TABLE usage_minutes;
DROP TABLE key_activity;

-- One row a flush and shard of the keys; what `body` is says claviger-store, usage/journal.rs.
CREATE TABLE usage_journal (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard BIGINT NOT NULL,
    body BYTEA NOT NULL
);
CREATE INDEX usage_journal_by_shard ON usage_journal (shard);

-- When it was so: what is folded late must not take the place of what was written since.
ALTER TABLE allowances ADD COLUMN at BIGINT NOT NULL DEFAULT 0;
