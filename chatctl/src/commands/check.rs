//! `chatctl token --check`: what a server with the settings of this folder thinks of a token, and why.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chatctl_client::token::{SecretError, generated_secret, server_settings};
use chatctl_terminal::output::{self, BAD, DIM, GOOD};
use jwt::fetch::{FetchError, Fetcher};
use jwt::settings::KeySetSource;
use jwt::{ClaimedUser, Header, Key, Keys, Provider, Refusal, Rules, Verified, unverified};
use serde_json::{Map, Value, json};
use shared::Timestamp;
use shared::settings::Settings;

/// What is thought of a token.
struct Opinion {
    /// What it says, whether or not that is true.
    header: Option<Map<String, Value>>,
    claims: Option<Map<String, Value>>,
    /// The key that signed it.
    key: Option<String>,
    verdict: Result<Verified, Refusal>,
    /// What is there and what is allowed, where it is refused.
    hint: Option<String>,
}

/// Prints what is thought of a token. The exit status is 0 if it is taken.
pub(super) fn run(settings: &Settings, given: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut token = given.to_owned();
    if given == "-" {
        token.clear();
        io::stdin().read_to_string(&mut token)?;
    }
    let token = token.trim();
    // As the server reads it.
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    let tokens = server_settings(settings)?;
    let rules = Rules {
        external_users: settings.get("USER_IDS").is_some_and(|kind| kind == "external"),
        ..Rules::new(&tokens)
    };
    let (keys, not_fetched) = keys(settings, &tokens)?;
    let opinion = judge(token, &keys, &rules, not_fetched.as_ref());
    match as_json {
        true => output::json(&in_json(&opinion))?,
        false => print(&opinion)?,
    }
    Ok(match opinion.verdict {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// The keys that a server here would have, and why it would have none of its provider.
fn keys(settings: &Settings, tokens: &jwt::Settings) -> anyhow::Result<(Keys, Option<FetchError>)> {
    let mut keys = Keys::default();
    if tokens.need_generated_secret() {
        match generated_secret(settings) {
            Ok((secret, path)) => {
                let label = format!("the secret in {}", path.display());
                keys.own.push(Key::secret(&secret, label));
            }
            Err(SecretError::Missing(..)) => {}
            Err(error) => return Err(error.into()),
        }
        return Ok((keys, None));
    }
    if let Some(secrets) = tokens.secrets()? {
        let name = match tokens.jwt_secret {
            Some(_) => "JWT_SECRET",
            None => "JWT_SECRET_FILE",
        };
        let numbered = (1..).zip(&secrets.all);
        keys.own.extend(
            numbered.map(|(number, secret)| Key::secret(secret.expose(), format!("secret {number} of {name}"))),
        );
    }
    keys.own.extend(tokens.public_keys()?);
    keys.provider = match (&tokens.jwt_jwks_url, tokens.key_set_file()?) {
        (_, Some(set)) => Provider::Keys(Arc::new(set)),
        (Some(KeySetSource::Url(url)), None) => {
            let fetcher = Fetcher::new(url, tokens.jwt_jwks_allow_private)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            match runtime.block_on(fetcher.fetch()) {
                Ok(set) => Provider::Keys(Arc::new(set)),
                Err(error) => {
                    keys.provider = Provider::Unknown;
                    return Ok((keys, Some(error)));
                }
            }
        }
        _ => Provider::None,
    };
    Ok((keys, None))
}

fn judge(token: &str, keys: &Keys, rules: &Rules, not_fetched: Option<&FetchError>) -> Opinion {
    let (header, claims) = unverified(token);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut key = None;
    let verdict = Header::read(token).and_then(|header| {
        let (claims, signer) = keys.claims(token, &header)?;
        key = Some(signer.label().to_owned());
        rules.read(&claims, now)
    });
    let empty = Map::new();
    let (head, body) = (header.as_ref().unwrap_or(&empty), claims.as_ref().unwrap_or(&empty));
    let hint = verdict.as_ref().err().and_then(|refusal| match refusal {
        Refusal::NoKeysYet => not_fetched.map(|error| format!("JWT_JWKS_URL can't be fetched: {error}")),
        other => hint(*other, head, body, keys, rules),
    });
    Opinion {
        header,
        claims,
        key,
        verdict,
        hint,
    }
}

/// What is there, and what is allowed.
fn hint(
    refusal: Refusal,
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
    keys: &Keys,
    rules: &Rules,
) -> Option<String> {
    let shown = |all: &Map<String, Value>, name: &str| all.get(name).map_or("missing".to_owned(), Value::to_string);
    let provided = match &keys.provider {
        Provider::Keys(set) => &set.keys[..],
        _ => &[],
    };
    let all = || keys.own.iter().chain(provided);
    Some(match refusal {
        Refusal::Algorithm if all().next().is_none() => {
            "there is no key here: start the server first, or set JWT_SECRET as it is there".to_owned()
        }
        Refusal::Algorithm => {
            let keys: Vec<String> = all()
                .map(|key| format!("{}: {:?}", key.label(), key.algorithms()))
                .collect();
            format!(
                "alg is {}; the keys are for other ones:\n    {}",
                shown(header, "alg"),
                keys.join("\n    ")
            )
        }
        Refusal::UnknownKey | Refusal::KeyIdMissing => {
            let ids: Vec<String> = provided
                .iter()
                .filter_map(|key| Some(format!("{:?}", key.id()?)))
                .collect();
            format!(
                "kid is {}; the identity provider has {}",
                shown(header, "kid"),
                ids.join(", ")
            )
        }
        Refusal::Signature => {
            let labels: Vec<&str> = all().map(Key::label).collect();
            format!(
                "none of these signed it, or it was changed since: {}",
                labels.join(", ")
            )
        }
        Refusal::User | Refusal::ExternalUser => {
            let names: Vec<&str> = claims.keys().map(String::as_str).collect();
            let found = rules.user.find(claims).map_or("missing".to_owned(), Value::to_string);
            format!(
                "JWT_USER_CLAIM is {}, which is {found}; the token has {}",
                rules.user,
                names.join(", ")
            )
        }
        Refusal::Issuer => format!(
            "iss is {}; JWT_ISSUER allows {}",
            shown(claims, "iss"),
            listed(&rules.issuers)
        ),
        Refusal::Audience => format!(
            "aud is {}; JWT_AUDIENCE allows {}",
            shown(claims, "aud"),
            listed(&rules.audiences)
        ),
        Refusal::Expired => format!("it ended at {}", time(claims.get("exp")?.as_f64()? as i64)),
        Refusal::NotYet => format!("it begins at {}", time(claims.get("nbf")?.as_f64()? as i64)),
        Refusal::Expiry => "JWT_REQUIRE_EXP=false would take it for ever".to_owned(),
        _ => return None,
    })
}

fn listed(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    quoted.join(", ")
}

fn time(seconds: i64) -> String {
    let at = Timestamp::from_millis(seconds.saturating_mul(1_000));
    output::local(at).strftime("%F %T").to_string()
}

fn in_json(opinion: &Opinion) -> Value {
    let verified = opinion.verdict.as_ref().ok();
    json!({
        "taken": verified.is_some(),
        "why": opinion.verdict.as_ref().err().map(|refusal| refusal.why()),
        "hint": opinion.hint,
        "key": opinion.key,
        "user": verified.map(user),
        "admin": verified.map(|verified| verified.admin),
        "issuedAt": verified.and_then(|verified| verified.issued_at),
        "expiresAt": verified.and_then(|verified| verified.expires_at),
        "header": opinion.header,
        "claims": opinion.claims,
    })
}

fn user(verified: &Verified) -> String {
    match &verified.user {
        ClaimedUser::Id(id) => id.to_string(),
        ClaimedUser::External(id) => id.to_string(),
    }
}

fn print(opinion: &Opinion) -> io::Result<()> {
    let mut out = anstream::stdout();
    match &opinion.verdict {
        Ok(_) => writeln!(out, "{GOOD}✓ taken{GOOD:#}")?,
        Err(refusal) => writeln!(out, "{BAD}✗ refused{BAD:#}: {refusal}")?,
    }
    if let Some(hint) = &opinion.hint {
        // The token may have been made by anybody.
        let lines = hint.lines().map(output::one_line);
        writeln!(out, "  {}", lines.collect::<Vec<String>>().join("\n    "))?;
    }
    let mut line = |name: &str, text: &str| writeln!(out, "  {DIM}{name:<9}{DIM:#}{}", output::one_line(text));
    if let Some(key) = &opinion.key {
        line("signed by", &format!(" {key}"))?;
    }
    if let Ok(verified) = &opinion.verdict {
        line("user", &user(verified))?;
        line("admin", if verified.admin { "yes" } else { "no" })?;
        if let Some(at) = verified.issued_at {
            line("made", &time(at))?;
        }
        line("ends", &verified.expires_at.map_or("never".to_owned(), time))?;
    }
    for (name, part) in [("head", &opinion.header), ("claims", &opinion.claims)] {
        if let Some(part) = part {
            line(name, &Value::Object(part.clone()).to_string())?;
        }
    }
    if opinion.verdict.is_ok() {
        writeln!(
            out,
            "  {DIM}Whether the user exists, and is not shut out, only the server knows.{DIM:#}"
        )?;
    }
    Ok(())
}
