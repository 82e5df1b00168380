-- Exports of usage that the program makes by itself: how far each came.
CREATE TABLE usage_exports (
    -- A day or a month, such as 2030-01.
    period TEXT PRIMARY KEY NOT NULL,
    parts INTEGER NOT NULL,
    exported_rows INTEGER NOT NULL,
    -- The key behind which it goes on.
    after_key TEXT NOT NULL,
    finished_at INTEGER,
    noted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
