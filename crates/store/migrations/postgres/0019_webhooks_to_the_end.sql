-- Whether its receiver took long for an answer when it was held last.
ALTER TABLE webhooks ADD COLUMN is_slow BOOLEAN NOT NULL DEFAULT false;
-- Deliveries that wait, about; and events that it was not told of since too many did.
ALTER TABLE webhooks ADD COLUMN waiting BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0;
-- Its project or account was deleted then: it is told of what happened until then, and no more.
ALTER TABLE webhooks ADD COLUMN ended_at BIGINT;
-- The secret before the previous one, where two were exchanged within a day.
ALTER TABLE webhooks ADD COLUMN earlier_secret BYTEA;
ALTER TABLE webhooks ADD COLUMN earlier_until BIGINT;
CREATE INDEX webhooks_ended ON webhooks (ended_at) WHERE ended_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX webhooks_rotated ON webhooks (previous_until) WHERE previous_until IS NOT NULL;

-- How often somebody asked for it to be sent again.
ALTER TABLE webhook_deliveries ADD COLUMN replays BIGINT NOT NULL DEFAULT 0;
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook_id, created_at, id) WHERE status = 'failed';

-- Nobody is told with the secrets of what was deleted.
UPDATE webhooks SET secret = ''::bytea, previous_secret = NULL, previous_until = NULL, legacy_secret = NULL, headers = NULL
    WHERE deleted_at IS NOT NULL;
