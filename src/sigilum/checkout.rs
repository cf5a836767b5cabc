//! A Sigilum source checkout: its database file, its JWT secret, its migrations.
