//! What we are called in OpenClaw.

/// The hook's name: its folder's and its entry's key.
pub const HOOK: &str = "sigilum-authz-notify";

/// The native plugin's id.
pub const PLUGIN: &str = "sigilum-authz-notify-plugin";
