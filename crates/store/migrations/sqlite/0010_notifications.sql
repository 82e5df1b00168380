-- What the people of an account are told.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    -- What it is told of where it is told of that once only.
    once TEXT,
    created_at INTEGER NOT NULL,
    read_at INTEGER
) STRICT;
CREATE INDEX notifications_by_account ON notifications (account_id, created_at, id);
CREATE UNIQUE INDEX notifications_once ON notifications (once) WHERE once IS NOT NULL;
CREATE INDEX notifications_read ON notifications (read_at) WHERE read_at IS NOT NULL;
