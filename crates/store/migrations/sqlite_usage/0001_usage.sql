-- What may lose its last second in a power cut: usage.db, synchronous=NORMAL.

CREATE TABLE usage_minutes (
    key_id TEXT NOT NULL,
    -- Minutes since 1970, UTC.
    minute INTEGER NOT NULL,
    project_id TEXT NOT NULL,
    successful INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    rate_limited INTEGER NOT NULL,
    PRIMARY KEY (key_id, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_activity (
    key_id TEXT PRIMARY KEY NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE allowances (
    lineage TEXT PRIMARY KEY NOT NULL,
    window_started_at INTEGER,
    window_ends_at INTEGER,
    window_used INTEGER NOT NULL,
    quota_ends_at INTEGER,
    quota_used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE call_log (
    id TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    log_type TEXT NOT NULL,
    connected_account_id TEXT NOT NULL,
    mcp_server_id TEXT,
    tool_name TEXT NOT NULL,
    resource TEXT NOT NULL,
    method TEXT NOT NULL,
    client_name TEXT,
    client_version TEXT,
    status INTEGER NOT NULL,
    upstream_status INTEGER,
    duration_us INTEGER NOT NULL,
    upstream_duration_us INTEGER,
    request_id TEXT NOT NULL,
    argument_names TEXT NOT NULL,
    arguments_digest BLOB NOT NULL
) STRICT;
CREATE INDEX call_log_by_account ON call_log (account_id, at, id);
CREATE INDEX call_log_by_server ON call_log (mcp_server_id, at, id);
