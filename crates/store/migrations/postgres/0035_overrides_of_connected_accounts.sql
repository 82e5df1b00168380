-- What a connected account says otherwise of its connector's tools; JSON.
ALTER TABLE connected_accounts ADD COLUMN overrides TEXT COLLATE "C" NOT NULL DEFAULT '{}';
