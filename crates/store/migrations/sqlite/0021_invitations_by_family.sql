-- For the count of what a family of accounts sent.
CREATE INDEX invitations_by_family ON invitations (root_account_id, created_at);
-- For their removal once they are over.
CREATE INDEX invitations_by_expiry ON invitations (expires_at);
-- In the order in which mails leave.
CREATE INDEX mails_in_turn ON mails (is_for_users DESC, next_at) WHERE next_at IS NOT NULL;
