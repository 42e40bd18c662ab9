-- The transparency log of one service. Included by the service as one of its migrations.

CREATE TABLE log_entries (
    seq       INTEGER PRIMARY KEY CHECK (seq >= 0),
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    entry     BLOB NOT NULL
) STRICT;

-- Roots of complete subtrees above the leaves, so that a proof reads O(log n) rows.
CREATE TABLE log_nodes (
    level INTEGER NOT NULL CHECK (level >= 1),
    idx   INTEGER NOT NULL CHECK (idx >= 0),
    hash  BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_state (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    frontier   BLOB NOT NULL,
    checkpoint TEXT NOT NULL
) STRICT;

-- Against our own mistakes only: who can write the file can drop a trigger. What binds the owner is
-- the signed checkpoint.
CREATE TRIGGER log_entries_are_final BEFORE UPDATE ON log_entries
BEGIN SELECT RAISE(ABORT, 'log entries are final'); END;
CREATE TRIGGER log_entries_stay BEFORE DELETE ON log_entries
BEGIN SELECT RAISE(ABORT, 'log entries are never removed'); END;
CREATE TRIGGER log_nodes_are_final BEFORE UPDATE ON log_nodes
BEGIN SELECT RAISE(ABORT, 'log nodes are final'); END;
CREATE TRIGGER log_nodes_stay BEFORE DELETE ON log_nodes
BEGIN SELECT RAISE(ABORT, 'log nodes are never removed'); END;
