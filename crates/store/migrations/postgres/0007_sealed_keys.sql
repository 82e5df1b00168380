-- Full keys of projects whose keys can be read back, sealed. Apart from the keys: most have none, and
-- what is erased is a row.
CREATE TABLE sealed_keys (
    key_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES api_keys (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    sealed BYTEA NOT NULL,
    -- When it is erased, where the key is in the grace of its rotation.
    erase_at BIGINT
);
CREATE INDEX sealed_keys_by_project ON sealed_keys (project_id);
CREATE INDEX sealed_keys_by_end ON sealed_keys (erase_at) WHERE erase_at IS NOT NULL;

-- Which access keys may read keys of a project back, and until when.
CREATE TABLE reveal_grants (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    access_key_id TEXT COLLATE "C" NOT NULL REFERENCES access_keys (id),
    expires_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX reveal_grants_by_holder ON reveal_grants (access_key_id, project_id);
CREATE INDEX reveal_grants_by_project ON reveal_grants (project_id, created_at, id);

-- The first answer with its secret, sealed, for as long as that is given again; and the key that it made.
ALTER TABLE idempotency ADD COLUMN sealed BYTEA;
ALTER TABLE idempotency ADD COLUMN sealed_until BIGINT;
ALTER TABLE idempotency ADD COLUMN made_key TEXT COLLATE "C";
CREATE INDEX idempotency_by_seal ON idempotency (sealed_until) WHERE sealed IS NOT NULL;
CREATE INDEX idempotency_by_made ON idempotency (made_key) WHERE sealed IS NOT NULL;
