-- The log of calls in blocks: lines of one family of accounts that began within a second and were
-- written together. What a line is says claviger-store, call_log/line.rs.
CREATE TABLE call_blocks (
    -- When its last call began, and the id of its first.
    last_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    root_account_id TEXT NOT NULL,
    -- {"kinds": [["acc_…", …], …], "lines": [[0, "cal_…", …], …]}
    lines TEXT NOT NULL,
    PRIMARY KEY (last_at, id)
) STRICT;

-- Which blocks have lines of an account or of an MCP server, in the order of time.
CREATE TABLE call_block_places (
    place TEXT NOT NULL,
    root_account_id TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    block_id TEXT NOT NULL,
    PRIMARY KEY (place, root_account_id, last_at, block_id)
) STRICT, WITHOUT ROWID;

-- Those of a block go with it.
CREATE INDEX call_block_places_by_block ON call_block_places (last_at, block_id);

INSERT INTO call_block_places (place, root_account_id, last_at, block_id)
SELECT root_account_id, root_account_id, at, id FROM call_log
UNION ALL SELECT account_id, root_account_id, at, id FROM call_log
    WHERE account_id <> root_account_id
UNION ALL SELECT mcp_server_id, root_account_id, at, id FROM call_log WHERE mcp_server_id IS NOT NULL;

INSERT INTO call_blocks (last_at, id, root_account_id, lines)
SELECT at, id, root_account_id, json_object(
    'kinds', json_array(json_array(
        account_id, root_account_id, project_id, log_type, connected_account_id,
        mcp_server_id, tool_name, resource, method, client_name, client_version, argument_names)),
    'lines', json_array(json_array(
        0, id, at, status, upstream_status, duration_us, upstream_duration_us, request_id,
        lower(hex(arguments_digest)), json(CASE is_dry_run WHEN 0 THEN 'false' ELSE 'true' END))))
FROM call_log;

DROP TABLE call_log;
