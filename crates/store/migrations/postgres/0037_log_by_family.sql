-- The calls of an account and its children in order.
CREATE INDEX call_log_by_family ON call_log (root_account_id, at, id);
