-- Mails on their way. What they say is sealed, and erased once they are sent.
CREATE TABLE mails (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    -- What it is, such as `invitation`, and the id of what it is of.
    kind TEXT COLLATE "C" NOT NULL,
    about TEXT COLLATE "C" NOT NULL,
    recipient TEXT COLLATE "C" NOT NULL,
    -- Whether it is sent only where somebody signed up with the address.
    is_for_users BOOLEAN NOT NULL,
    sealed BYTEA,
    -- `queued`, `sent` or `failed`.
    status TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    -- After that it is of no use.
    expires_at BIGINT NOT NULL,
    lease TEXT COLLATE "C",
    leased_until BIGINT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX mails_by_subject ON mails (about, created_at, id);
CREATE INDEX mails_due ON mails (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX mails_by_end ON mails (ended_at) WHERE ended_at IS NOT NULL;

-- One-time codes and links that were asked for, by whoever: only those of users do anything.
CREATE TABLE one_time_codes (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    email_folded TEXT COLLATE "C" NOT NULL,
    -- `sign-in` or `password`.
    purpose TEXT COLLATE "C" NOT NULL,
    -- Of the few digits that somebody types in; null where there are none.
    code_digest BYTEA,
    -- Of the token that a link has.
    token_digest BYTEA NOT NULL UNIQUE,
    -- Wrong digits that were tried.
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX one_time_codes_by_email ON one_time_codes (email_folded, created_at, id);
CREATE INDEX one_time_codes_by_expiry ON one_time_codes (expires_at);

-- Digits that were tried for an address, across codes.
CREATE TABLE code_attempts (
    email_folded TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    hour_from BIGINT NOT NULL,
    in_hour BIGINT NOT NULL,
    day_from BIGINT NOT NULL,
    in_day BIGINT NOT NULL
);

-- For the count of what one person sent.
CREATE INDEX invitations_by_maker ON invitations (created_by, created_at);
