-- Usage by key and day, written with the hours: totals of many keys and exports read one row where they
-- read up to 24, and the hours may go without them.
CREATE TABLE usage_days (
    key_id TEXT NOT NULL,
    -- Days since 1970, UTC.
    day INTEGER NOT NULL,
    project_id TEXT NOT NULL,
    successful INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    rate_limited INTEGER NOT NULL,
    PRIMARY KEY (key_id, day)
) STRICT, WITHOUT ROWID;

INSERT INTO usage_days (key_id, day, project_id, successful, failed, rate_limited)
SELECT key_id, hour / 24, MAX(project_id), SUM(successful), SUM(failed), SUM(rate_limited)
FROM usage_hours GROUP BY key_id, hour / 24
HAVING SUM(successful) + SUM(failed) + SUM(rate_limited) > 0;
