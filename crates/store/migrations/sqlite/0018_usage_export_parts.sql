-- The last key of the part that is being sent to an endpoint. It is noted before, so that a part that is
-- sent again has the keys that it had, whatever keys there are meanwhile.
ALTER TABLE usage_exports ADD COLUMN until_key TEXT;
