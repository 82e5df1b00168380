-- The part of an export that is being sent to an endpoint, as it was sent: what is sent again under the
-- same Idempotency-Key is the same, whatever keys are called meanwhile.
CREATE TABLE usage_export_bodies (
    period TEXT PRIMARY KEY NOT NULL,
    part INTEGER NOT NULL,
    -- Keys in it.
    body_rows INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
