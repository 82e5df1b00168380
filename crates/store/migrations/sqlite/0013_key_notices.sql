-- What was told of a key (of a quota: of the first key of the chain of rotations), and until when that
-- is enough.
CREATE TABLE key_notices (
    key_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (key_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_notices_by_end ON key_notices (until);

-- Which keys expire next.
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at, id)
WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
