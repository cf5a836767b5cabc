//! The Sigilum gateway's connections: its admin API, and its CLI where the gateway is stopped.
