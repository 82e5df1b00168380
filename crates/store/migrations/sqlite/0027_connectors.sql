-- Connectors that accounts brought: the file without its document, and the document. A connector is of no
-- project; the column is there for the one condition of what is within a reach.
CREATE TABLE connectors (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    slug TEXT NOT NULL,
    label TEXT NOT NULL,
    category TEXT,
    file TEXT NOT NULL,
    document TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX connectors_by_slug ON connectors (account_id, slug) WHERE deleted_at IS NULL;
