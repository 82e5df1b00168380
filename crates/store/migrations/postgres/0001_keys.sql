-- The same tables as the two SQLite files have, in one database.
-- Instants are integer microseconds since 1970; JSON is text; ids are text.

-- SQLite's function of this name, so that lists and bulk rows are one bind in one text for both.
CREATE FUNCTION json_each(list text) RETURNS TABLE (value jsonb) LANGUAGE sql IMMUTABLE
    AS $$ SELECT jsonb_array_elements(list::jsonb) $$;

-- SQLite's function of this name: bytes in such a list are hexadecimal.
CREATE FUNCTION unhex(digits text) RETURNS BYTEA LANGUAGE sql IMMUTABLE
    AS $$ SELECT decode(digits, 'hex') $$;

CREATE TABLE accounts (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    root_account_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL,
    -- An account that has keys of our shape without our checksum, so that a wrong checksum proves nothing.
    has_foreign_keys BOOLEAN NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX accounts_by_root ON accounts (root_account_id, created_at, id);

CREATE TABLE projects (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    env TEXT COLLATE "C" NOT NULL,
    key_storage TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX projects_by_account ON projects (account_id, created_at, id);

CREATE TABLE access_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    -- [["prj_…"], …], or null for a key of the whole account.
    projects TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    env TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    is_active BOOLEAN NOT NULL,
    rate_limit BIGINT,
    rate_limit_ttl BIGINT,
    expires_at BIGINT,
    stops_at BIGINT,
    rotated_from TEXT COLLATE "C",
    rotated_to TEXT COLLATE "C",
    -- The first key of the chain of rotations: the limit is counted under it.
    lineage TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX access_keys_by_account ON access_keys (account_id, created_at, id);

CREATE TABLE operator_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    env TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    is_custom BOOLEAN NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL,
    custom_account_id TEXT COLLATE "C",
    custom_user_id TEXT COLLATE "C",
    rate_limit BIGINT,
    rate_limit_ttl BIGINT,
    expires_at BIGINT,
    client_ip TEXT COLLATE "C",
    client_user_agent TEXT COLLATE "C",
    allowed_domains TEXT COLLATE "C" NOT NULL,
    allowed_ips TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    quota_limit BIGINT,
    quota_period TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    stops_at BIGINT,
    rotated_from TEXT COLLATE "C",
    rotated_to TEXT COLLATE "C",
    -- The first key of the chain of rotations: limit and quota are counted under it.
    lineage TEXT COLLATE "C" NOT NULL,
    first_used_at BIGINT,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX api_keys_by_digest ON api_keys (root_account_id, digest) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_by_digest_alone ON api_keys (digest);
CREATE INDEX api_keys_by_project ON api_keys (project_id, created_at, id);
CREATE INDEX api_keys_by_account ON api_keys (account_id, created_at, id);
CREATE INDEX api_keys_by_root ON api_keys (root_account_id, created_at, id);

CREATE TABLE events (
    -- The writing transaction: numbers are given before commit, so `seq` alone is no cursor.
    txid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    seq BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    actor TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    data TEXT COLLATE "C" NOT NULL
);
CREATE INDEX events_by_txid ON events (txid, seq);
CREATE INDEX events_by_account ON events (account_id, seq);

CREATE TABLE idempotency (
    -- Digest of credential, method, path and key.
    id BYTEA PRIMARY KEY NOT NULL,
    body_digest BYTEA NOT NULL,
    -- Null while the first request is in flight.
    status BIGINT,
    body TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE sealed_secrets (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE connected_accounts (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    integration TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    authentication_method TEXT COLLATE "C" NOT NULL,
    credentials BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX connected_accounts_by_account ON connected_accounts (account_id, created_at, id);

CREATE TABLE mcp_servers (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    connected_account_id TEXT COLLATE "C" NOT NULL REFERENCES connected_accounts (id),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    config TEXT COLLATE "C" NOT NULL,
    token_digest BYTEA NOT NULL UNIQUE,
    expires_at BIGINT,
    -- Who made it: `access_key` or `operator`, the id, and the rights held then.
    maker_kind TEXT COLLATE "C" NOT NULL,
    maker_id TEXT COLLATE "C" NOT NULL,
    maker_rights TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX mcp_servers_by_connected_account ON mcp_servers (connected_account_id, created_at, id);
CREATE INDEX mcp_servers_by_maker ON mcp_servers (maker_id);

CREATE TABLE usage_minutes (
    key_id TEXT COLLATE "C" NOT NULL,
    -- Minutes since 1970, UTC.
    minute BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    successful BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    rate_limited BIGINT NOT NULL,
    PRIMARY KEY (key_id, minute)
);

CREATE TABLE key_activity (
    key_id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    last_used_at BIGINT NOT NULL
);

CREATE TABLE allowances (
    lineage TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    window_started_at BIGINT,
    window_ends_at BIGINT,
    window_used BIGINT NOT NULL,
    quota_ends_at BIGINT,
    quota_used BIGINT NOT NULL
);

CREATE TABLE call_log (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    log_type TEXT COLLATE "C" NOT NULL,
    connected_account_id TEXT COLLATE "C" NOT NULL,
    mcp_server_id TEXT COLLATE "C",
    tool_name TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    client_name TEXT COLLATE "C",
    client_version TEXT COLLATE "C",
    status BIGINT NOT NULL,
    upstream_status BIGINT,
    duration_us BIGINT NOT NULL,
    upstream_duration_us BIGINT,
    request_id TEXT COLLATE "C" NOT NULL,
    argument_names TEXT COLLATE "C" NOT NULL,
    arguments_digest BYTEA NOT NULL
);
CREATE INDEX call_log_by_account ON call_log (account_id, at, id);
CREATE INDEX call_log_by_server ON call_log (mcp_server_id, at, id);
