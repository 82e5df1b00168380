-- Customers that were made with all that they have, by whoever made them and the id that they gave.
CREATE TABLE tenants (
    -- The account, operator (empty) or user whose customer it is.
    maker TEXT NOT NULL,
    external_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    -- What was answered, with secrets masked.
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (maker, external_id)
) STRICT;
