-- Only the sha256 of a token is kept: who reads this file cannot use what stands in it.
CREATE TABLE token (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('session', 'api')),
    hash         TEXT NOT NULL UNIQUE,
    account_id   INTEGER NOT NULL REFERENCES account (id),
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    address      TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    revoked_at   TEXT
) STRICT;

CREATE INDEX token_of_account ON token (account_id, kind);

-- Attempts to sign in, counted by login and by address. `subject` is a hash: people type passwords into the login field.
CREATE TABLE attempt (
    subject       TEXT PRIMARY KEY,
    failures      INTEGER NOT NULL,
    last_at       TEXT NOT NULL,
    blocked_until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
