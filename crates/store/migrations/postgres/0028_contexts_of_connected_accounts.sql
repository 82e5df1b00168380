-- What a connected account was made with that is no secret, such as a subdomain; JSON.
ALTER TABLE connected_accounts ADD COLUMN context TEXT NOT NULL DEFAULT '{}';
