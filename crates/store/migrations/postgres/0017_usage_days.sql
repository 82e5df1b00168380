-- What a program that still runs would add meanwhile must not be lost.
LOCK TABLE usage_hours IN ACCESS EXCLUSIVE MODE;

-- Usage by key and day, written with the hours: totals of many keys and exports read one row where they
-- read up to 24, and the hours may go without them.
CREATE TABLE usage_days (
    key_id TEXT COLLATE "C" NOT NULL,
    -- Days since 1970, UTC.
    day BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    successful BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    PRIMARY KEY (key_id, day)
);

INSERT INTO usage_days (key_id, day, project_id, successful, failed, rate_limited)
SELECT key_id, hour / 24, MAX(project_id), SUM(successful), SUM(failed), SUM(rate_limited)
FROM usage_hours GROUP BY key_id, hour / 24
HAVING SUM(successful) + SUM(failed) + SUM(rate_limited) > 0;
