-- Run whenever the app starts, as one transaction: what is there already stays as it is. The lock is for two apps that
-- start at once.
SELECT pg_advisory_xact_lock(hashtext('gatekeeper schema'));

CREATE TABLE IF NOT EXISTS users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  password_hash text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The cookie itself is not stored: whoever reads this table cannot log in with what is in it.
CREATE TABLE IF NOT EXISTS sessions (
  cookie_hash bytea PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_by_user ON sessions (user_id);

-- One key signs, the next one is published already, and retired ones stay until the last token that they signed is over.
CREATE TABLE IF NOT EXISTS signing_keys (
  kid text PRIMARY KEY,
  private_jwk jsonb NOT NULL,
  state text NOT NULL CHECK (state IN ('next', 'current', 'retired')),
  since timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS one_key_of_each ON signing_keys (state) WHERE state <> 'retired';
