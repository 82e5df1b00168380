-- For those that go to the successor of a key.
CREATE INDEX invitations_by_who_stands_behind ON invitations (last_changed_by) WHERE status = 'pending';
