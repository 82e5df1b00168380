-- Mails on their way. What they say is sealed, and erased once they are sent.
CREATE TABLE mails (
    id TEXT PRIMARY KEY NOT NULL,
    -- What it is, such as `invitation`, and the id of what it is of.
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    recipient TEXT NOT NULL,
    -- Whether it is sent only where somebody signed up with the address.
    is_for_users INTEGER NOT NULL,
    sealed BLOB,
    -- `queued`, `sent` or `failed`.
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER,
    -- After that it is of no use.
    expires_at INTEGER NOT NULL,
    lease TEXT,
    leased_until INTEGER,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX mails_by_subject ON mails (about, created_at, id);
CREATE INDEX mails_due ON mails (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX mails_by_end ON mails (ended_at) WHERE ended_at IS NOT NULL;

-- One-time codes and links that were asked for, by whoever: only those of users do anything.
CREATE TABLE one_time_codes (
    id TEXT PRIMARY KEY NOT NULL,
    email_folded TEXT NOT NULL,
    -- `sign-in` or `password`.
    purpose TEXT NOT NULL,
    -- Of the few digits that somebody types in; null where there are none.
    code_digest BLOB,
    -- Of the token that a link has.
    token_digest BLOB NOT NULL UNIQUE,
    -- Wrong digits that were tried.
    tries INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX one_time_codes_by_email ON one_time_codes (email_folded, created_at, id);
CREATE INDEX one_time_codes_by_expiry ON one_time_codes (expires_at);

-- Digits that were tried for an address, across codes.
CREATE TABLE code_attempts (
    email_folded TEXT PRIMARY KEY NOT NULL,
    hour_from INTEGER NOT NULL,
    in_hour INTEGER NOT NULL,
    day_from INTEGER NOT NULL,
    in_day INTEGER NOT NULL
) STRICT;

-- For the count of what one person sent.
CREATE INDEX invitations_by_maker ON invitations (created_by, created_at);
