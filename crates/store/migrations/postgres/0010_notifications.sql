-- What the people of an account are told.
CREATE TABLE notifications (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    -- What it is told of where it is told of that once only.
    once TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    read_at BIGINT
);
CREATE INDEX notifications_by_account ON notifications (account_id, created_at, id);
CREATE UNIQUE INDEX notifications_once ON notifications (once) WHERE once IS NOT NULL;
CREATE INDEX notifications_read ON notifications (read_at) WHERE read_at IS NOT NULL;
