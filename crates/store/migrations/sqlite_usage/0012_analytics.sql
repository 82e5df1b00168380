-- Usage by project and hour, of all keys together, those that are gone included. It is written with
-- what is counted, also where that is in the journal still.
CREATE TABLE usage_projects (
    project_id TEXT NOT NULL,
    -- Hours since 1970, UTC.
    hour INTEGER NOT NULL,
    successful INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    rate_limited INTEGER NOT NULL,
    PRIMARY KEY (project_id, hour)
) STRICT, WITHOUT ROWID;

INSERT INTO usage_projects (project_id, hour, successful, failed, rate_limited)
SELECT project_id, hour, SUM(successful), SUM(failed), SUM(rate_limited)
FROM usage_hours WHERE project_id <> '' GROUP BY project_id, hour;

-- The number of a piece that was folded is never another's: whoever adds up what is in the journal
-- tells by it what has become rows since.
CREATE TABLE usage_journal_numbered (
    seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    shard INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
INSERT INTO usage_journal_numbered (seq, shard, body)
SELECT seq, shard, body FROM usage_journal ORDER BY seq;
DROP TABLE usage_journal;
ALTER TABLE usage_journal_numbered RENAME TO usage_journal;
CREATE INDEX usage_journal_by_shard ON usage_journal (shard);
