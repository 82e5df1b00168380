-- People. They are of no account: roles say where they may do what.
CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Argon2id, in the form that says its own cost; null where none was chosen.
    password_hash TEXT,
    -- When it was seen that mail to the address reaches them.
    email_verified_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    -- Where it was begun: what the program calls itself, and the address.
    user_agent TEXT,
    address TEXT,
    created_at INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE session_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    -- `access` or `refresh`.
    kind TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- When a refresh token was exchanged for its successor.
    used_at INTEGER
) STRICT;
CREATE INDEX session_tokens_by_session ON session_tokens (session_id);
CREATE INDEX session_tokens_by_expiry ON session_tokens (expires_at);

CREATE TABLE role_assignments (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    -- The only project that it is held on; empty where it is held on the account.
    project_id TEXT NOT NULL,
    role TEXT NOT NULL,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX role_assignments_by_place ON role_assignments (user_id, account_id, project_id);
CREATE INDEX role_assignments_by_account ON role_assignments (account_id, created_at, id);

-- That somebody is asked into an account.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    root_account_id TEXT NOT NULL,
    -- [["prj_…"], …], or null for the whole account.
    projects TEXT,
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    role TEXT NOT NULL,
    -- `pending`, `accepted` or `cancelled`; one that is over is still `pending` here.
    status TEXT NOT NULL,
    -- Of the token that the mail has.
    token_digest BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,
    accepted_by TEXT,
    created_by TEXT,
    created_by_type TEXT,
    created_in TEXT NOT NULL,
    last_changed_by TEXT,
    last_changed_by_type TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_by_account ON invitations (account_id, created_at, id);
CREATE INDEX invitations_by_email ON invitations (email_folded, status);
