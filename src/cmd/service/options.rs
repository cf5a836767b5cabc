//! What a person gives to a service command: checked before anything is looked at.

use crate::cli::{GatewayArgs, ServiceAddArgs, ServiceArgs, ServiceMode, UpstreamSecretArgs};
use crate::cmd::{context, output, secret};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::settings;
use crate::sigilum::http;
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// A secret is at most so long.
const SECRET_CAP: u64 = 64 * 1024;

/// `^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$`: what the Sigilum gateway takes as the name of a key file.
pub(super) fn check_slug(slug: &str) -> Result<()> {
    check_slug_or(
        slug,
        "sigilum-authz-notify service list, to see the slugs that there are",
    )
}

fn check_slug_or(slug: &str, next: &str) -> Result<()> {
    if settings::is_label(slug, false) {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!("could not take the service slug {slug:?}: 3 to 64 lower-case letters, digits and inner hyphens"),
    )
    .next(next))
}

/// The flags that lead to the same services again, for a command that is printed: a blank and each, or nothing. No secret
/// is among them.
fn same_flags(common: &ServiceArgs) -> String {
    let text = |name, value: &Option<String>| match value {
        Some(value) => format!(" {name} {}", shell_words::quote(value)),
        None => String::new(),
    };
    [
        text("--namespace", &common.namespace),
        context::place_flags(&common.place),
        context::path_flag("--source-home", common.local_api.source_home.as_deref()),
        context::path_flag("--api-db", common.local_api.api_db.as_deref()),
        text("--gateway-admin-url", &common.gateway.gateway_admin_url),
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

/// The secret that a person gave, from at most one source. Gives a value only; warnings are [`warn_of_typed_secrets`]'s.
///
/// # Errors
/// [`ExitCode::Usage`] for several sources, [`ExitCode::SecretOrDatabase`] for a source that holds no usable secret.
pub(super) fn given_secret(args: &UpstreamSecretArgs, env: &Env) -> Result<Option<SecretString>> {
    let from_stdin = Path::new("-");
    let text = match (
        &args.upstream_secret,
        &args.upstream_secret_env,
        &args.upstream_secret_file,
    ) {
        (None, None, None) => return Ok(None),
        (Some(value), None, None) if value == "-" => read_stdin()?,
        (Some(value), None, None) => value.clone(),
        (None, Some(name), None) => env.var(name).map(str::to_owned).ok_or_else(|| {
            bad_secret(format!("the variable {name:?} is not set, or is empty"))
                .next("set it, or give the secret with --upstream-secret-file")
        })?,
        (None, None, Some(path)) if path == from_stdin => read_stdin()?,
        (None, None, Some(path)) => read_secret_file(path)?,
        _ => {
            return Err(Error::new(
                ExitCode::Usage,
                "could not take the upstream secret: it is given more than once",
            )
            .next("give one of --upstream-secret, --upstream-secret-env and --upstream-secret-file"));
        }
    };
    // The Sigilum gateway cuts white space around secrets; the file shall hold what the gateway holds.
    let text = text.trim();
    if text.is_empty() {
        return Err(bad_secret("it is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(bad_secret(
            "it holds a line break or another control character, which no header can carry",
        ));
    }
    Ok(Some(SecretString::from(text)))
}

fn bad_secret(why: impl std::fmt::Display) -> Error {
    Error::new(
        ExitCode::SecretOrDatabase,
        format!("could not take the upstream secret: {why}"),
    )
    .next("give it with --upstream-secret-env <name> or --upstream-secret-file <path>")
}

fn read_secret_file(path: &Path) -> Result<String> {
    let bytes = fs::read_named(path, SECRET_CAP).map_err(bad_secret)?;
    let bytes = bytes.ok_or_else(|| bad_secret(format_args!("there is no such file: {}", path.display())))?;
    String::from_utf8(bytes).map_err(|_| bad_secret(format_args!("the file is not UTF-8 text: {}", path.display())))
}

fn read_stdin() -> Result<String> {
    let bytes = secret::from_stdin("upstream secret", SECRET_CAP as usize, |_| true)?;
    let bytes = bytes.expose_secret();
    if bytes.len() as u64 > SECRET_CAP {
        return Err(bad_secret(format_args!(
            "standard input holds more than {SECRET_CAP} bytes"
        )));
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| bad_secret("standard input is not UTF-8 text"))
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

/// Refuses what needs no file and no network to be refused.
pub(super) fn check_add(args: &ServiceAddArgs) -> Result<()> {
    check_slug_or(args.slug.get(), "give another one with --service-slug")?;
    const HELP: &str = "sigilum-authz-notify service add --help";
    let usage = |what: String| Err(Error::new(ExitCode::Usage, what).next(HELP));
    for (flag, text) in [
        ("--service-name", &args.service_name),
        ("--domain", &args.domain),
        ("--upstream-header", &args.upstream_header),
        ("--upstream-secret-key", &args.secret.upstream_secret_key),
    ] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return usage(format!("could not take {flag}: it is empty"));
        }
    }
    for (flag, text) in [
        ("--service-name", &args.service_name),
        ("--domain", &args.domain),
        ("--description", &args.description),
        ("--upstream-header", &args.upstream_header),
        ("--auth-prefix", &args.auth_prefix),
        ("--upstream-secret-key", &args.secret.upstream_secret_key),
    ] {
        if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
            return usage(format!("could not take {flag}: it holds a control character"));
        }
    }
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
        Error::new(ExitCode::Usage, "could not take --upstream-base-url")
            .because(error)
            .next(HELP)
    })?;
    if url.scheme() == "http" && !http::is_this_machine(&url) {
        output::warn(format_args!(
            "the Sigilum gateway will send the upstream secret to {} without TLS",
            url.host_str().unwrap_or_default()
        ));
    }
    let token = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    if args
        .upstream_header
        .as_ref()
        .is_some_and(|header| !token(header.trim()))
    {
        return usage("could not take --upstream-header: it is not the name of a header or parameter".to_owned());
    }
    check_secret_key(args.secret.upstream_secret_key.as_deref())
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
        "could not take --upstream-secret-key: letters, digits, dots, hyphens and underscores only",
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
