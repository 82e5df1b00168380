-- Exports of usage that the program makes by itself: how far each came.
CREATE TABLE usage_exports (
    -- A day or a month, such as 2030-01.
    period TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    parts BIGINT NOT NULL,
    exported_rows BIGINT NOT NULL,
    -- The key behind which it goes on.
    after_key TEXT COLLATE "C" NOT NULL,
    finished_at BIGINT,
    noted_at BIGINT NOT NULL
);
