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
    deployed     INTEGER NOT NULL CHECK (deployed IN (0, 1)),
    -- Unix time, seconds.
    taken_at     INTEGER NOT NULL,
    -- What it costs at most, whichever version is taken.
    cost_gwei    INTEGER NOT NULL CHECK (cost_gwei >= 0),
    -- 0 sent, 1 mined, 2 reverted, 3 lost
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2, 3)),
    -- The version in the block; while there is none, the newest.
    tx_hash      BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    -- Where it was settled.
    block        INTEGER,
    gas_used     INTEGER,
    -- How often in a row nodes refused its newest version as it is.
    refusals     INTEGER NOT NULL DEFAULT 0,
    -- The newest block when its nonce was first found used and no receipt was there.
    missing_since INTEGER,
    UNIQUE (chain_id, sender, nonce)
) STRICT;

CREATE INDEX requests_sent ON requests (chain_id, sender, nonce) WHERE state = 0;
CREATE INDEX requests_settled ON requests (chain_id, sender, block) WHERE block IS NOT NULL;
CREATE INDEX requests_taken ON requests (chain_id, sender, taken_at, cost_gwei);
CREATE INDEX requests_wallet ON requests (chain_id, wallet, taken_at, cost_gwei);

-- What was signed for a request, all under its nonce: a chain takes one of them.
CREATE TABLE versions (
    request BLOB    NOT NULL REFERENCES requests (id),
    number  INTEGER NOT NULL CHECK (number >= 0),
    tx_hash BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    raw     BLOB    NOT NULL,
    -- Whether it only uses up the nonce, in place of the call.
    empty   INTEGER NOT NULL CHECK (empty IN (0, 1)),
    PRIMARY KEY (request, number)
) STRICT;
