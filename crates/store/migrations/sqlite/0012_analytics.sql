-- When a key of the project passed for the first time, also after that key is gone.
ALTER TABLE projects ADD COLUMN first_call_at INTEGER;
UPDATE projects SET first_call_at =
(SELECT MIN(first_used_at) FROM api_keys WHERE api_keys.project_id = projects.id);
