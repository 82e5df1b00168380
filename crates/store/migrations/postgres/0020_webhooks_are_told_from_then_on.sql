-- The last event that it is not told of: what happened before it was made.
ALTER TABLE webhooks ADD COLUMN told_after BIGINT NOT NULL DEFAULT 0;
