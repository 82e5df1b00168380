-- When an operator key stops being taken: at once, or after the grace of a rotation.
ALTER TABLE operator_keys ADD COLUMN stops_at BIGINT;
