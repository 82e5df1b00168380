-- People. They are of no account: roles say where they may do what.
CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    email_folded TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    -- Argon2id, in the form that says its own cost; null where none was chosen.
    password_hash TEXT COLLATE "C",
    -- When it was seen that mail to the address reaches them.
    email_verified_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    -- Where it was begun: what the program calls itself, and the address.
    user_agent TEXT COLLATE "C",
    address TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE session_tokens (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    -- `access` or `refresh`.
    kind TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- When a refresh token was exchanged for its successor.
    used_at BIGINT
);
CREATE INDEX session_tokens_by_session ON session_tokens (session_id);
CREATE INDEX session_tokens_by_expiry ON session_tokens (expires_at);

CREATE TABLE role_assignments (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    -- The only project that it is held on; empty where it is held on the account.
    project_id TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX role_assignments_by_place ON role_assignments (user_id, account_id, project_id);
CREATE INDEX role_assignments_by_account ON role_assignments (account_id, created_at, id);

-- That somebody is asked into an account.
CREATE TABLE invitations (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    root_account_id TEXT COLLATE "C" NOT NULL,
    -- [["prj_…"], …], or null for the whole account.
    projects TEXT COLLATE "C",
    email TEXT COLLATE "C" NOT NULL,
    email_folded TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    -- `pending`, `accepted` or `cancelled`; one that is over is still `pending` here.
    status TEXT COLLATE "C" NOT NULL,
    -- Of the token that the mail has.
    token_digest BYTEA NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL,
    accepted_by TEXT COLLATE "C",
    created_by TEXT COLLATE "C",
    created_by_type TEXT COLLATE "C",
    created_in TEXT COLLATE "C" NOT NULL,
    last_changed_by TEXT COLLATE "C",
    last_changed_by_type TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX invitations_by_account ON invitations (account_id, created_at, id);
CREATE INDEX invitations_by_email ON invitations (email_folded, status);
