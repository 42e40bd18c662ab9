-- What vouches for new devices of an account. `identity` is the enclaves' name for it, a keyed hash;
-- before `counts_from` it vouches for nothing. `device` had it bound, or named it last; without one,
-- since that device was taken off, it vouches for nothing either.

-- Passkeys, by the SHA-256 of their ids.
CREATE TABLE passkeys (
    project     TEXT NOT NULL,
    account     BLOB NOT NULL CHECK (length(account) = 16),
    credential  BLOB NOT NULL CHECK (length(credential) = 32),
    identity    BLOB NOT NULL CHECK (length(identity) = 32),
    passkey     TEXT NOT NULL,
    device      BLOB CHECK (length(device) = 32),
    counts_from INTEGER NOT NULL,
    added       INTEGER NOT NULL,
    PRIMARY KEY (project, account, credential)
) STRICT, WITHOUT ROWID;

-- Whom issuers name in ID tokens: a hash of issuer, audience and subject, under a key of the
-- holder's own, so that the table names nobody.
CREATE TABLE subjects (
    project     TEXT NOT NULL,
    account     BLOB NOT NULL CHECK (length(account) = 16),
    subject     BLOB NOT NULL CHECK (length(subject) = 32),
    identity    BLOB NOT NULL CHECK (length(identity) = 32),
    device      BLOB CHECK (length(device) = 32),
    counts_from INTEGER NOT NULL,
    added       INTEGER NOT NULL,
    PRIMARY KEY (project, account, subject)
) STRICT, WITHOUT ROWID;

-- Attempts at secrets, by a keyed hash of whose and from where.
CREATE TABLE attempt_counts (
    subject    BLOB NOT NULL CHECK (length(subject) = 32),
    project    TEXT NOT NULL,
    kind       INTEGER NOT NULL,
    hour_start INTEGER NOT NULL,
    hour_count INTEGER NOT NULL,
    day_start  INTEGER NOT NULL,
    day_count  INTEGER NOT NULL,
    PRIMARY KEY (subject, project, kind)
) STRICT, WITHOUT ROWID;
