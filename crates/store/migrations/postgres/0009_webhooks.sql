-- URLs that are told what happens in an account.
CREATE TABLE webhooks (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    name TEXT COLLATE "C",
    url TEXT COLLATE "C" NOT NULL,
    http_method TEXT COLLATE "C" NOT NULL,
    format TEXT COLLATE "C" NOT NULL,
    -- [["api-key.created"], …]
    topics TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    secret BYTEA NOT NULL,
    previous_secret BYTEA,
    previous_until BIGINT,
    legacy_secret BYTEA,
    headers BYTEA,
    -- The names of those headers, which may be shown: ["authorization", …]
    header_names TEXT COLLATE "C" NOT NULL,
    failing_since BIGINT,
    last_failed_at BIGINT,
    -- How often in a row it was held and took nothing.
    failed_holds BIGINT NOT NULL DEFAULT 0,
    -- When its first delivery is due; null when none waits.
    next_at BIGINT,
    -- The receiver asked not to be asked before.
    rests_until BIGINT,
    -- Which worker sends its deliveries, and until when nobody else does.
    lease TEXT COLLATE "C",
    leased_until BIGINT,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX webhooks_by_account ON webhooks (account_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_due ON webhooks (next_at) WHERE next_at IS NOT NULL AND status = 'live' AND deleted_at IS NULL;

CREATE TABLE webhook_deliveries (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id),
    event_id TEXT COLLATE "C" NOT NULL,
    topic TEXT COLLATE "C" NOT NULL,
    -- `waiting`, `delivered` or `failed`.
    status TEXT COLLATE "C" NOT NULL,
    -- Failed attempts since it was made, or since it was replayed.
    failures BIGINT NOT NULL,
    -- What each attempt came to, the oldest first, JSON.
    attempts TEXT COLLATE "C" NOT NULL,
    -- When it is tried next; null when it is not.
    next_at BIGINT,
    -- When the event happened.
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id, webhook_id);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

-- Whether webhooks are still to be told. Only events of accounts that have one ever wait.
ALTER TABLE events ADD COLUMN awaits_fan_out BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX events_to_fan_out ON events (account_id, seq) WHERE awaits_fan_out;
