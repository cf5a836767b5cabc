//! What a person gives to a service command: checked before anything is looked at.

use crate::cli::{GatewayArgs, ServiceAddArgs, ServiceArgs, ServiceMode, UpstreamSecretArgs};
use crate::cmd::{context, output};
use crate::error::{Error, ExitCode, Result};
use crate::settings;
use crate::sigilum::http;

/// `^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$`: what the Sigilum gateway takes as the name of a key file.
pub(super) fn check_slug(slug: &str) -> Result<()> {
    check_slug_or(
        slug,
        "sigilum-authz-notify service list; it shows the slugs that there are",
    )
}

fn check_slug_or(slug: &str, next: &str) -> Result<()> {
    if settings::is_label(slug, false) {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!("invalid service slug {slug:?}: use 3 to 64 lower-case letters, digits and inner hyphens"),
    )
    .next(next))
}

/// The flags that lead to the same services again, for a command that is printed: a blank and each, or nothing. No secret
/// is among them.
fn same_flags(common: &ServiceArgs) -> String {
    [
        context::flag("--namespace", common.namespace.as_ref()),
        context::place_flags(&common.place),
        context::path_flag("--source-home", common.local_api.source_home.as_deref()),
        context::path_flag("--api-db", common.local_api.api_db.as_deref()),
        context::flag("--gateway-admin-url", common.gateway.gateway_admin_url.as_ref()),
        context::path_flag("--gateway-data-dir", common.gateway.gateway_data_dir.as_deref()),
    ]
    .concat()
}

/// The command that rotates the key of the same service, with flags of its own or none.
pub(super) fn rotate_key(slug: &str, flags: &str, common: &ServiceArgs) -> String {
    format!(
        "sigilum-authz-notify service rotate-key {slug}{flags}{}",
        same_flags(common)
    )
}

/// The command that makes a connection for the same service.
pub(super) fn add_connection(slug: &str, common: &ServiceArgs) -> String {
    format!(
        "sigilum-authz-notify service add --service-slug {slug} --mode gateway --upstream-base-url <url>{}",
        same_flags(common)
    )
}

/// One warning for all secrets that stand on the command line, where other users of the machine may see them.
pub(super) fn warn_of_typed_secrets(secret: Option<&UpstreamSecretArgs>, gateway: &GatewayArgs) {
    let typed = |value: Option<&String>| value.is_some_and(|value| value != "-");
    let flags: Vec<&str> = [
        (
            "--upstream-secret",
            typed(secret.and_then(|secret| secret.upstream_secret.as_ref())),
            "--upstream-secret-env or --upstream-secret-file",
        ),
        (
            "--gateway-admin-token",
            typed(gateway.gateway_admin_token.as_ref()),
            "GATEWAY_ADMIN_TOKEN",
        ),
        (
            "--gateway-master-key",
            typed(gateway.gateway_master_key.as_ref()),
            "GATEWAY_MASTER_KEY",
        ),
    ]
    .iter()
    .filter(|(_, typed, _)| *typed)
    .flat_map(|(flag, _, better)| [*flag, *better])
    .collect();
    if flags.is_empty() {
        return;
    }
    let (typed, better): (Vec<&str>, Vec<&str>) = flags.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    output::warn(format_args!(
        "other users of this machine may see the secret of {} in the process list; better: {}",
        typed.join(", "),
        better.join(", ")
    ));
}

/// What to read before the same command is given again.
const ADD_HELP: &str = "sigilum-authz-notify service add --help";

/// Refuses what needs no file and no network to be refused.
pub(super) fn check_add(args: &ServiceAddArgs) -> Result<()> {
    check_slug_or(args.slug.get(), "give another one with --service-slug")?;
    check_texts(args)?;
    if args.mode == ServiceMode::Native {
        return refuse_gateway_options(args);
    }
    let Some(url) = &args.upstream_base_url else {
        return Err(Error::new(
            ExitCode::Usage,
            "could not add the service: gateway mode needs the upstream's base URL",
        )
        .next("add --upstream-base-url <url>"));
    };
    let url = http::check_url(url.trim(), true).map_err(|error| {
        // Not the URL itself: it may hold a password.
        Error::new(ExitCode::Usage, "invalid --upstream-base-url")
            .because(error)
            .next(ADD_HELP)
    })?;
    if url.scheme() == "http" && !http::is_this_machine(&url) {
        output::warn(format_args!(
            "the Sigilum gateway will send the upstream secret to {} without TLS",
            url.host_str().unwrap_or_default()
        ));
    }
    check_secret_key(args.secret.upstream_secret_key.as_deref())
}

/// Texts of one line, which say something where they must.
fn check_texts(args: &ServiceAddArgs) -> Result<()> {
    let usage = |flag, why| Err(Error::new(ExitCode::Usage, format!("invalid {flag}: {why}")).next(ADD_HELP));
    for (flag, text, may_be_blank) in [
        ("--service-name", &args.service_name, false),
        ("--domain", &args.domain, false),
        ("--description", &args.description, true),
        ("--upstream-header", &args.upstream_header, false),
        ("--auth-prefix", &args.auth_prefix, true),
        ("--upstream-secret-key", &args.secret.upstream_secret_key, false),
    ] {
        let Some(text) = text else { continue };
        if text.trim().is_empty() && !may_be_blank {
            return usage(flag, "it is empty");
        }
        if text.chars().any(char::is_control) {
            return usage(flag, "it holds a control character");
        }
    }
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match &args.upstream_header {
        Some(header) if args.mode == ServiceMode::Gateway && !header.trim().bytes().all(in_name) => {
            usage("--upstream-header", "it is not the name of a header or parameter")
        }
        _ => Ok(()),
    }
}

/// A secret's key name: no white space and no `=`, which the gateway's CLI takes for the end of the name.
pub(super) fn check_secret_key(key: Option<&str>) -> Result<()> {
    let good = |key: &str| {
        let key = key.trim();
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if key.is_none_or(good) {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        "invalid --upstream-secret-key: use letters, digits, dots, hyphens and underscores only",
    ))
}

fn refuse_gateway_options(args: &ServiceAddArgs) -> Result<()> {
    let given: Vec<&str> = [
        ("--upstream-base-url", args.upstream_base_url.is_some()),
        ("--auth-mode", args.auth_mode.is_some()),
        ("--upstream-header", args.upstream_header.is_some()),
        ("--auth-prefix", args.auth_prefix.is_some()),
        ("--upstream-secret-key", args.secret.upstream_secret_key.is_some()),
        ("--upstream-secret", args.secret.upstream_secret.is_some()),
        ("--upstream-secret-env", args.secret.upstream_secret_env.is_some()),
        ("--upstream-secret-file", args.secret.upstream_secret_file.is_some()),
        ("--force", args.force),
    ]
    .iter()
    .filter_map(|(flag, given)| given.then_some(*flag))
    .collect();
    if given.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!(
            "could not add the service: only gateway mode knows {}",
            given.join(", ")
        ),
    )
    .next("add --mode gateway"))
}
