-- The same of every table of SQLite's 0001_usage.sql.
INSERT INTO usage_minutes (key_id, minute, project_id, successful, failed, rate_limited) VALUES
    ('key_plain', 29474640, 'prj_live', 5, 1, 2),
    ('key_plain', 29474641, 'prj_live', 1, 0, 0);
INSERT INTO key_activity (key_id, last_used_at) VALUES
    ('key_plain', 1768478460000000);
INSERT INTO allowances (lineage, window_started_at, window_ends_at, window_used, quota_ends_at, quota_used) VALUES
    ('key_first', 1768478400000000, 1768478460000000, 3, 1769904000000000, 7),
    ('key_plain', NULL, NULL, 0, NULL, 0);
INSERT INTO call_log (id, at, account_id, root_account_id, project_id, log_type, connected_account_id, mcp_server_id, tool_name, resource, method, client_name, client_version, status, upstream_status, duration_us, upstream_duration_us, request_id, argument_names, arguments_digest) VALUES
    ('log_1', 1768478400000000, 'acc_root', 'acc_root', 'prj_live', 'mcp', 'int_1', 'mcp_1', 'list_api_keys', 'api-keys', 'list', 'inspector', '1.0', 200, 200, 1500, 900, 'req_1', '["project_id"]', unhex('0506')),
    ('log_2', 1768478400000001, 'acc_root', 'acc_root', NULL, 'proxy', 'int_1', NULL, 'get_api_key', 'api-keys', 'get', NULL, NULL, 502, NULL, 10, NULL, 'req_2', '[]', unhex('0506'));
