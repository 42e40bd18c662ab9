-- Everything about a person is bound to (project, account) and looked up with both.

-- The realm this holder belongs to: once, for good.
CREATE TABLE realm (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    realm  BLOB NOT NULL CHECK (length(realm) = 32),
    record TEXT NOT NULL
) STRICT;

-- The record that was proposed last and not committed yet.
CREATE TABLE pending_genesis (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    realm  BLOB NOT NULL CHECK (length(realm) = 32)
) STRICT;

-- The share of the realm seed, sealed under the master key.
CREATE TABLE seed_share (
    realm  BLOB PRIMARY KEY CHECK (length(realm) = 32),
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys that session attestations are verified with, as a registered enclave stated them last.
CREATE TABLE attestation_keys (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    keys      TEXT NOT NULL,
    stated_at INTEGER NOT NULL
) STRICT;

-- active_at is absent once the device may act.
CREATE TABLE devices (
    project   TEXT NOT NULL,
    account   BLOB NOT NULL CHECK (length(account) = 16),
    device    BLOB NOT NULL CHECK (length(device) = 32),
    jwk       TEXT NOT NULL,
    active_at INTEGER,
    added     INTEGER NOT NULL,
    last_used INTEGER,
    PRIMARY KEY (project, account, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    key          BLOB PRIMARY KEY CHECK (length(key) = 16),
    project      TEXT NOT NULL,
    account      BLOB NOT NULL CHECK (length(account) = 16),
    generation   INTEGER NOT NULL CHECK (generation >= 1),
    created      INTEGER NOT NULL,
    released     INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
    window_start INTEGER NOT NULL DEFAULT 0,
    window_count INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_owner ON keys (project, account);
CREATE INDEX keys_by_generation ON keys (generation);

-- The bytes of shares, sealed under the master key; the envelope names owner, key, purpose,
-- generation and sharing. No row is removed or moved: store/slots.rs says why.
CREATE TABLE sealed_shares (
    slot   INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL,
    free   INTEGER NOT NULL DEFAULT 0 CHECK (free IN (0, 1))
) STRICT;

CREATE INDEX sealed_shares_free ON sealed_shares (length(sealed)) WHERE free = 1;

-- A sharing is one attempt at making the key, or at making new shares of it, named by the commitment
-- of its leaf share: the account's record says which of them counts. keys.generation is the one
-- below which no share is left, so shares of a later one are on their way in.
--   digest    of a splitting that came under a warrant: of all holders' commitments
--   promised  this holder has signed that it has the share
--   ends      Unix seconds from which it is not released any more; absent while it counts
CREATE TABLE shares (
    key        BLOB NOT NULL REFERENCES keys (key),
    generation INTEGER NOT NULL CHECK (generation >= 1),
    sharing    BLOB NOT NULL CHECK (length(sharing) = 32),
    purpose    INTEGER NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    slot       INTEGER NOT NULL REFERENCES sealed_shares (slot),
    stored     INTEGER NOT NULL,
    digest     BLOB CHECK (length(digest) = 32),
    promised   INTEGER NOT NULL DEFAULT 0 CHECK (promised IN (0, 1)),
    ends       INTEGER,
    PRIMARY KEY (key, generation, sharing, purpose)
) STRICT, WITHOUT ROWID;

CREATE INDEX shares_by_end ON shares (ends) WHERE ends IS NOT NULL;

CREATE TABLE anchors (
    record  BLOB PRIMARY KEY CHECK (length(record) = 32),
    version INTEGER NOT NULL CHECK (version >= 1),
    hash    BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE revoked_sessions (
    project TEXT NOT NULL,
    account BLOB NOT NULL CHECK (length(account) = 16),
    session BLOB NOT NULL CHECK (length(session) = 16),
    expires INTEGER NOT NULL,
    PRIMARY KEY (project, account, session)
) STRICT, WITHOUT ROWID;

-- Each signed request works once; a row goes long after its signature expired.
CREATE TABLE nonces (
    device  BLOB NOT NULL CHECK (length(device) = 32),
    nonce   TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (device, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX nonces_by_expiry ON nonces (expires);

-- Mails of one project to an address; or of one device of an account, by a hash that names both.
CREATE TABLE mail_counts (
    address    BLOB NOT NULL CHECK (length(address) = 32),
    project    TEXT NOT NULL,
    hour_start INTEGER NOT NULL,
    hour_count INTEGER NOT NULL,
    day_start  INTEGER NOT NULL,
    day_count  INTEGER NOT NULL,
    PRIMARY KEY (address, project)
) STRICT, WITHOUT ROWID;

-- Mails of all projects together to an address; or of all devices of an account.
CREATE TABLE mail_totals (
    address   BLOB PRIMARY KEY CHECK (length(address) = 32),
    day_start INTEGER NOT NULL,
    day_count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
