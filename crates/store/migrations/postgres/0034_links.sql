-- Links by which somebody connects an account of theirs, each good once and for an hour; and what an account
-- has said of where whoever connected goes back to.
CREATE TABLE link_tokens (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    tenant_id TEXT COLLATE "C" NOT NULL,
    -- What it connects anew, or what came of it so far.
    connected_account_id TEXT COLLATE "C",
    reconnects BOOLEAN NOT NULL,
    integration TEXT COLLATE "C",
    redirect_uri TEXT COLLATE "C",
    scopes TEXT COLLATE "C",
    token_digest BYTEA NOT NULL,
    -- Of the browser in which it was used first.
    page_digest BYTEA,
    tries BIGINT NOT NULL,
    state_digest BYTEA,
    flow BYTEA,
    maker_kind TEXT COLLATE "C" NOT NULL,
    maker_id TEXT COLLATE "C" NOT NULL,
    maker_rights TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX link_tokens_by_token ON link_tokens (token_digest);
CREATE INDEX link_tokens_by_maker ON link_tokens (maker_id);
CREATE INDEX link_tokens_by_end ON link_tokens (expires_at);
CREATE TABLE link_settings (
    account_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES accounts (id),
    redirect_uris TEXT COLLATE "C" NOT NULL,
    origins TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL
);
-- As whom an account asks the users of a product for their consent: a client that it registered there, for one
-- connector. And until when one program alone fetches other tokens for a connected account.
CREATE TABLE oauth_clients (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    integration TEXT COLLATE "C" NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, integration)
);
ALTER TABLE connected_accounts ADD COLUMN renewed_until BIGINT;
