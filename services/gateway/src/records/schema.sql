-- Sealed records, each version beside the others until one is settled. The gateway cannot read
-- what is sealed; `record` is a keyed hash that tells it nothing.
CREATE TABLE record_versions (
    record BLOB NOT NULL CHECK (length(record) = 32),
    version INTEGER NOT NULL CHECK (version >= 1),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    sealed BLOB NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),
    stored_at INTEGER NOT NULL, -- Unix seconds
    PRIMARY KEY (record, version, hash)
) STRICT;

-- At most one version of a record is settled.
CREATE UNIQUE INDEX record_settled ON record_versions (record) WHERE settled = 1;

-- The realm's signed record, once.
CREATE TABLE realm (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 32),
    signed TEXT NOT NULL
) STRICT;
