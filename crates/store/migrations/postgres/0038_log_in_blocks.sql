-- The log of calls in blocks: lines of one family of accounts that began within a second and were
-- written together. What a line is says claviger-store, call_log/line.rs.

-- No line is written between its being read and the end of the table.
LOCK TABLE call_log IN ACCESS EXCLUSIVE MODE;

CREATE TABLE call_blocks (
    -- When its last call began, and the id of its first.
    last_at BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    root_account_id TEXT COLLATE "C" NOT NULL,
    -- {"kinds": [["acc_…", …], …], "lines": [[0, "cal_…", …], …]}
    lines TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (last_at, id)
);

-- Which blocks have lines of an account or of an MCP server, in the order of time.
CREATE TABLE call_block_places (
    place TEXT COLLATE "C" NOT NULL,
    root_account_id TEXT COLLATE "C" NOT NULL,
    last_at BIGINT NOT NULL,
    block_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (place, root_account_id, last_at, block_id)
);

-- Those of a block go with it.
CREATE INDEX call_block_places_by_block ON call_block_places (last_at, block_id);

INSERT INTO call_block_places (place, root_account_id, last_at, block_id)
SELECT root_account_id, root_account_id, at, id FROM call_log
UNION ALL SELECT account_id, root_account_id, at, id FROM call_log
    WHERE account_id <> root_account_id
UNION ALL SELECT mcp_server_id, root_account_id, at, id FROM call_log WHERE mcp_server_id IS NOT NULL;

INSERT INTO call_blocks (last_at, id, root_account_id, lines)
SELECT at, id, root_account_id, CAST(json_build_object(
    'kinds', json_build_array(json_build_array(
        account_id, root_account_id, project_id, log_type, connected_account_id,
        mcp_server_id, tool_name, resource, method, client_name, client_version, argument_names)),
    'lines', json_build_array(json_build_array(
        0, id, at, status, upstream_status, duration_us, upstream_duration_us, request_id,
        encode(arguments_digest, 'hex'), is_dry_run))) AS TEXT)
FROM call_log;

DROP TABLE call_log;
