-- Links by which somebody connects an account of theirs, each good once and for an hour; and what an account
-- has said of where whoever connected goes back to.
CREATE TABLE link_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    project_id TEXT,
    tenant_id TEXT NOT NULL,
    -- What it connects anew, or what came of it so far.
    connected_account_id TEXT,
    reconnects INTEGER NOT NULL,
    integration TEXT,
    redirect_uri TEXT,
    scopes TEXT,
    token_digest BLOB NOT NULL,
    -- Of the browser in which it was used first.
    page_digest BLOB,
    tries INTEGER NOT NULL,
    state_digest BLOB,
    flow BLOB,
    maker_kind TEXT NOT NULL,
    maker_id TEXT NOT NULL,
    maker_rights TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX link_tokens_by_token ON link_tokens (token_digest);
CREATE INDEX link_tokens_by_maker ON link_tokens (maker_id);
CREATE INDEX link_tokens_by_end ON link_tokens (expires_at);
CREATE TABLE link_settings (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id),
    redirect_uris TEXT NOT NULL,
    origins TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
-- As whom an account asks the users of a product for their consent: a client that it registered there, for one
-- connector. And until when one program alone fetches other tokens for a connected account.
CREATE TABLE oauth_clients (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    integration TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, integration)
) STRICT;
ALTER TABLE connected_accounts ADD COLUMN renewed_until INTEGER;
