-- Trees of wallets' configurations, by the root that follows from them. Public, never changed.
CREATE TABLE trees (
    root BLOB PRIMARY KEY CHECK (length(root) = 32),
    tree TEXT NOT NULL
) STRICT, WITHOUT ROWID;
