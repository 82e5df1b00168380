-- One index for both questions, a digest in one family of accounts and a digest alone: each of a
-- key's indexes that is in no order is a page of its own to write.
--
-- Built beside the others: whoever reads waits until those are dropped, and not for the building too.
CREATE UNIQUE INDEX api_keys_by_digest_in_family ON api_keys (digest, root_account_id)
    WHERE deleted_at IS NULL;
DROP INDEX api_keys_by_digest_alone;
DROP INDEX api_keys_by_digest;
ALTER INDEX api_keys_by_digest_in_family RENAME TO api_keys_by_digest;
