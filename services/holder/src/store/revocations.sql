-- Devices that were taken off an account. A row stays for good: its key must not come back.
CREATE TABLE revoked_devices (
    project TEXT NOT NULL,
    account BLOB NOT NULL CHECK (length(account) = 16),
    device  BLOB NOT NULL CHECK (length(device) = 32),
    revoked INTEGER NOT NULL,
    PRIMARY KEY (project, account, device)
) STRICT, WITHOUT ROWID;

-- When every other device of an account was taken off last.
CREATE TABLE cleared_accounts (
    project TEXT NOT NULL,
    account BLOB NOT NULL CHECK (length(account) = 16),
    cleared INTEGER NOT NULL,
    PRIMARY KEY (project, account)
) STRICT, WITHOUT ROWID;
