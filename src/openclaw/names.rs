//! What we are called in OpenClaw.

/// The hook's name: its folder's and its entry's key.
pub const HOOK: &str = "sigilum-authz-notify";

/// The native plugin's id: that of the npm package, so that installing and uninstalling go by one name.
pub const PLUGIN: &str = "sigilum-authz-notify";

/// The plugin's id in version 0.1.0.
pub const PLUGIN_0_1: &str = "sigilum-authz-notify-plugin";
