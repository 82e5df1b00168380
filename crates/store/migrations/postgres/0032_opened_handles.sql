-- Links to sealed secrets that were opened, each once; forgotten when the link would have ended anyway.
CREATE TABLE opened_handles (
    digest BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX opened_handles_by_end ON opened_handles (expires_at);
