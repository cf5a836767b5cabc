-- The local Sigilum API's tables as they stand after its migration 0021, for a database that no API has made.
-- The names, columns and recorded migrations are the API's contract.

CREATE TABLE d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
);

INSERT INTO d1_migrations (name) VALUES
  ('0000_initial.sql'),
  ('0001_passkey_name_and_plan.sql'),
  ('0002_users_updated_at.sql'),
  ('0003_services_and_api_keys.sql'),
  ('0004_webhooks.sql'),
  ('0005_webhook_auth_header.sql'),
  ('0006_claims_table.sql'),
  ('0007_rename_claims_to_authorizations.sql'),
  ('0008_blockchain_tx_hashes.sql'),
  ('0009_add_tx_hashes_to_authorizations.sql'),
  ('0010_add_submission_tx_hash.sql'),
  ('0011_service_blockchain_registration.sql'),
  ('0012_remove_registered_on_chain.sql'),
  ('0013_remove_submission_tx_hash.sql'),
  ('0015_authorizations_composite_primary_key.sql'),
  ('0017_key_gateway_registration.sql'),
  ('0018_services_slug_per_owner.sql'),
  ('0019_add_agent_name_to_authorizations.sql'),
  ('0020_add_subject_and_agent_id_to_authorizations.sql'),
  ('0021_create_usage_events.sql');

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  namespace TEXT NOT NULL UNIQUE,
  plan TEXT NOT NULL DEFAULT 'builder',
  settings TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  paid_until TEXT,
  updated_at TEXT,
  registration_tx_hash TEXT
);

CREATE TABLE services (
  id TEXT PRIMARY KEY,
  owner_user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  slug TEXT NOT NULL,
  domain TEXT,
  description TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT,
  registration_tx_hash TEXT
);
CREATE UNIQUE INDEX services_by_owner_and_slug ON services (owner_user_id, slug);
CREATE INDEX services_by_slug ON services (slug);

CREATE TABLE service_api_keys (
  id TEXT PRIMARY KEY,
  service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
  name TEXT NOT NULL DEFAULT 'Default',
  key_prefix TEXT NOT NULL,
  key_hash TEXT NOT NULL,
  last_used_at TEXT,
  revoked_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  gateway_registered_at TEXT
);
CREATE INDEX keys_by_service ON service_api_keys (service_id);
CREATE INDEX keys_by_hash ON service_api_keys (key_hash);

CREATE TABLE authorizations (
  namespace TEXT NOT NULL,
  service TEXT NOT NULL,
  public_key TEXT NOT NULL,
  claim_id TEXT NOT NULL UNIQUE,
  agent_ip TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  approved_at TEXT,
  revoked_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  approval_tx_hash TEXT,
  revocation_tx_hash TEXT,
  agent_name TEXT,
  subject TEXT,
  agent_id TEXT,
  PRIMARY KEY (namespace, service, public_key)
);
CREATE INDEX authorizations_by_status ON authorizations (namespace, status, created_at);

-- What follows is the API's alone: made so that an API finds it, never read or written here.

CREATE TABLE webauthn_credentials (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  public_key BLOB NOT NULL,
  counter INTEGER NOT NULL DEFAULT 0,
  device_type TEXT,
  backed_up INTEGER NOT NULL DEFAULT 0,
  transports TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  name TEXT NOT NULL DEFAULT 'My Passkey'
);
CREATE INDEX passkeys_by_user ON webauthn_credentials (user_id);

CREATE TABLE webauthn_challenges (
  challenge TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  email TEXT,
  namespace TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1,
  failure_count INTEGER NOT NULL DEFAULT 0,
  last_triggered_at TEXT,
  last_failure_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  auth_header_name TEXT,
  auth_header_value TEXT
);
CREATE INDEX webhooks_by_service ON webhooks (service_id);

CREATE TABLE usage_events (
  event_id TEXT PRIMARY KEY,
  namespace TEXT NOT NULL,
  service TEXT NOT NULL,
  public_key TEXT NOT NULL,
  subject TEXT NOT NULL,
  agent_id TEXT,
  protocol TEXT NOT NULL,
  action TEXT NOT NULL,
  outcome TEXT NOT NULL,
  status_code INTEGER,
  duration_ms INTEGER,
  response_bytes INTEGER,
  request_method TEXT,
  request_path TEXT,
  remote_ip TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX usage_by_time ON usage_events (namespace, created_at);
