-- Customers that were made with all that they have, by whoever made them and the id that they gave.
CREATE TABLE tenants (
    -- The account, operator (empty) or user whose customer it is.
    maker TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    -- What was answered, with secrets masked.
    answer TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (maker, external_id)
);
