-- What the program must not lose: claviger.db, synchronous=FULL.
-- Instants are integer microseconds since 1970; JSON is text; ids are text.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    root_account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    -- An account that has keys of our shape without our checksum, so that a wrong checksum proves nothing.
    has_foreign_keys INTEGER NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX accounts_by_root ON accounts (root_account_id, created_at, id);

CREATE TABLE projects (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    env TEXT NOT NULL,
    key_storage TEXT NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX projects_by_account ON projects (account_id, created_at, id);

CREATE TABLE access_keys (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    -- [["prj_…"], …], or null for a key of the whole account.
    projects TEXT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    env TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    is_active INTEGER NOT NULL,
    rate_limit INTEGER,
    rate_limit_ttl INTEGER,
    expires_at INTEGER,
    stops_at INTEGER,
    rotated_from TEXT,
    rotated_to TEXT,
    -- The first key of the chain of rotations: the limit is counted under it.
    lineage TEXT NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX access_keys_by_account ON access_keys (account_id, created_at, id);

CREATE TABLE operator_keys (
    id TEXT PRIMARY KEY NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    env TEXT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    digest BLOB NOT NULL,
    is_custom INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    custom_account_id TEXT,
    custom_user_id TEXT,
    rate_limit INTEGER,
    rate_limit_ttl INTEGER,
    expires_at INTEGER,
    client_ip TEXT,
    client_user_agent TEXT,
    allowed_domains TEXT NOT NULL,
    allowed_ips TEXT NOT NULL,
    scopes TEXT NOT NULL,
    quota_limit INTEGER,
    quota_period TEXT,
    status TEXT NOT NULL,
    reason TEXT,
    revoked_at INTEGER,
    revoked_by TEXT,
    stops_at INTEGER,
    rotated_from TEXT,
    rotated_to TEXT,
    -- The first key of the chain of rotations: limit and quota are counted under it.
    lineage TEXT NOT NULL,
    first_used_at INTEGER,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX api_keys_by_digest ON api_keys (root_account_id, digest) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_by_digest_alone ON api_keys (digest);
CREATE INDEX api_keys_by_project ON api_keys (project_id, created_at, id);
CREATE INDEX api_keys_by_account ON api_keys (account_id, created_at, id);
CREATE INDEX api_keys_by_root ON api_keys (root_account_id, created_at, id);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    project_id TEXT,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_account ON events (account_id, seq);

CREATE TABLE idempotency (
    -- Digest of credential, method, path and key.
    id BLOB PRIMARY KEY NOT NULL,
    body_digest BLOB NOT NULL,
    -- Null while the first request is in flight.
    status INTEGER,
    body TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE sealed_secrets (
    name TEXT PRIMARY KEY NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE connected_accounts (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    integration TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    authentication_method TEXT NOT NULL,
    credentials BLOB NOT NULL,
    status TEXT NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX connected_accounts_by_account ON connected_accounts (account_id, created_at, id);

CREATE TABLE mcp_servers (
    id TEXT PRIMARY KEY NOT NULL,
    connected_account_id TEXT NOT NULL REFERENCES connected_accounts (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    token_digest BLOB NOT NULL UNIQUE,
    expires_at INTEGER,
    -- Who made it: `access_key` or `operator`, the id, and the rights held then.
    maker_kind TEXT NOT NULL,
    maker_id TEXT NOT NULL,
    maker_rights TEXT NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX mcp_servers_by_connected_account ON mcp_servers (connected_account_id, created_at, id);
CREATE INDEX mcp_servers_by_maker ON mcp_servers (maker_id);
