-- When a person showed who they are, where that was before the session began: a provider's new token
-- may be of an old sign-in.
ALTER TABLE sessions ADD COLUMN shown_at INTEGER;
