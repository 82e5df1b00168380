-- The oldest calls, whoever's they are: removed when they are old.
CREATE INDEX call_log_by_age ON call_log (at);
