-- URLs that are told what happens in an account.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    name TEXT,
    url TEXT NOT NULL,
    http_method TEXT NOT NULL,
    format TEXT NOT NULL,
    -- [["api-key.created"], …]
    topics TEXT NOT NULL,
    status TEXT NOT NULL,
    secret BLOB NOT NULL,
    previous_secret BLOB,
    previous_until INTEGER,
    legacy_secret BLOB,
    headers BLOB,
    -- The names of those headers, which may be shown: ["authorization", …]
    header_names TEXT NOT NULL,
    failing_since INTEGER,
    last_failed_at INTEGER,
    -- How often in a row it was held and took nothing.
    failed_holds INTEGER NOT NULL DEFAULT 0,
    -- When its first delivery is due; null when none waits.
    next_at INTEGER,
    -- The receiver asked not to be asked before.
    rests_until INTEGER,
    -- Which worker sends its deliveries, and until when nobody else does.
    lease TEXT,
    leased_until INTEGER,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX webhooks_by_account ON webhooks (account_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_due ON webhooks (next_at) WHERE next_at IS NOT NULL AND status = 'live' AND deleted_at IS NULL;

CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id),
    event_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    -- `waiting`, `delivered` or `failed`.
    status TEXT NOT NULL,
    -- Failed attempts since it was made, or since it was replayed.
    failures INTEGER NOT NULL,
    -- What each attempt came to, the oldest first, JSON.
    attempts TEXT NOT NULL,
    -- When it is tried next; null when it is not.
    next_at INTEGER,
    -- When the event happened.
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id, webhook_id);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

-- Whether webhooks are still to be told. Only events of accounts that have one ever wait.
ALTER TABLE events ADD COLUMN awaits_fan_out INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_to_fan_out ON events (account_id, seq) WHERE awaits_fan_out;
