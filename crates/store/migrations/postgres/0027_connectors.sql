-- Connectors that accounts brought: the file without its document, and the document. A connector is of no
-- project; the column is there for the one condition of what is within a reach.
CREATE TABLE connectors (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    slug TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C",
    file TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX connectors_by_slug ON connectors (account_id, slug) WHERE deleted_at IS NULL;
