-- What a connector sends with every call and has text of its own, sealed: such values may be keys.
ALTER TABLE connectors ADD COLUMN sealed_values BLOB;
