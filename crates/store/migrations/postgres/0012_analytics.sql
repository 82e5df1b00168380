-- When a key of the project passed for the first time, also after that key is gone.
ALTER TABLE projects ADD COLUMN first_call_at BIGINT;
UPDATE projects SET first_call_at =
(SELECT MIN(first_used_at) FROM api_keys WHERE api_keys.project_id = projects.id);

-- What a program that still runs would add meanwhile must not be lost.
LOCK TABLE usage_hours IN ACCESS EXCLUSIVE MODE;

-- Usage by project and hour, of all keys together, those that are gone included. It is written with
-- what is counted, also where that is in the journal still.
CREATE TABLE usage_projects (
    project_id TEXT COLLATE "C" NOT NULL,
    -- Hours since 1970, UTC.
    hour BIGINT NOT NULL,
    successful BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    PRIMARY KEY (project_id, hour)
);

INSERT INTO usage_projects (project_id, hour, successful, failed, rate_limited)
SELECT project_id, hour, SUM(successful), SUM(failed), SUM(rate_limited)
FROM usage_hours WHERE project_id <> '' GROUP BY project_id, hour;

-- The trail of an account in the order of commits.
DROP INDEX events_by_account;
CREATE INDEX events_by_account ON events (account_id, txid, seq);
