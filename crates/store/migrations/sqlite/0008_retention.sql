-- What several programs over one database take turns at, and how far they came.
CREATE TABLE jobs (
    name TEXT PRIMARY KEY NOT NULL,
    -- Which program does it, and until when nobody else begins it.
    holder TEXT NOT NULL,
    held_until INTEGER NOT NULL,
    -- When it is due again, and when it was done last.
    next_at INTEGER NOT NULL,
    done_at INTEGER,
    -- How far it came, in a measure of its own.
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was deleted is found without looking at what was not: rows without an end are not in these.
CREATE INDEX accounts_deleted ON accounts (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX projects_deleted ON projects (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX access_keys_deleted ON access_keys (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX api_keys_deleted ON api_keys (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX connected_accounts_deleted ON connected_accounts (deleted_at)
WHERE deleted_at IS NOT NULL;
CREATE INDEX mcp_servers_deleted ON mcp_servers (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX mcp_servers_expired ON mcp_servers (expires_at) WHERE expires_at IS NOT NULL;
