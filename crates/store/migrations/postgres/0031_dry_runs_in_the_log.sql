-- A call of which it was only told what it would send.
ALTER TABLE call_log ADD COLUMN is_dry_run BOOLEAN NOT NULL DEFAULT false;
