-- One row for each request that was taken over; never deleted, so that a key works once for ever.
CREATE TABLE requests (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
    chain_id     INTEGER NOT NULL,
    -- The relayer's address and its nonce.
    sender       BLOB    NOT NULL CHECK (length(sender) = 20),
    nonce        INTEGER NOT NULL CHECK (nonce >= 0),
    -- The wallet, its nonce space and nonce.
    wallet       BLOB    NOT NULL CHECK (length(wallet) = 20),
    space        BLOB    NOT NULL CHECK (length(space) = 20),
    wallet_nonce INTEGER NOT NULL CHECK (wallet_nonce >= 0),
    tx_hash      BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    raw          BLOB    NOT NULL,
    deployed     INTEGER NOT NULL CHECK (deployed IN (0, 1)),
    -- 0 sent, 1 mined, 2 reverted
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
    block        INTEGER,
    gas_used     INTEGER,
    UNIQUE (chain_id, sender, nonce)
) STRICT;

CREATE INDEX requests_sent ON requests (chain_id, sender, nonce) WHERE state = 0;
