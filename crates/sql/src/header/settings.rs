//! The keys of a header and what each accepts.

use crate::header::{Allow, Header, Kind, Phase};
use crate::nearest::nearest;

/// One setting as written.
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// Byte of the key in the file.
    pub(super) at: usize,
    /// Byte of the value in the file.
    pub(super) value_at: usize,
}

/// Why a setting is not accepted.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: String,
    /// Whether the value is at fault rather than the key.
    pub(super) of_value: bool,
}

const KEYS: [&str; 14] = [
    "transaction",
    "phase",
    "change",
    "requires",
    "bake",
    "min_app_version",
    "lock_timeout",
    "statement_timeout",
    "online",
    "kind",
    "scope",
    "irreversible",
    "allow",
    "reason",
];

/// PostgreSQL keeps time limits in a signed 32-bit count of milliseconds.
const MAX_MILLIS: u64 = 2_147_483_647;

/// Writes one setting into the header.
pub(super) fn apply(
    header: &mut Header,
    seen: &mut Vec<&'static str>,
    pending_allow: &mut Option<(usize, String)>,
    pair: &Pair<'_>,
) -> Result<(), Refusal> {
    let key = known(pair.key)?;
    if !["allow", "reason"].contains(&key) {
        if seen.contains(&key) {
            return Err(of_key(format!("`{key}` is set twice"), "keep one of them"));
        }
        seen.push(key);
    }
    let value = pair.value;
    match key {
        "transaction" => header.transaction = transaction(value)?,
        "phase" => header.phase = Some(one_of(pair, &PHASES)?),
        "change" => header.change = Some(slug(pair)?),
        "requires" => header.requires = versions(pair)?,
        "lock_timeout" => header.lock_timeout_ms = Some(lock_timeout(pair)?),
        "statement_timeout" => header.statement_timeout_ms = Some(duration(pair)?),
        "online" => online(pair)?,
        "kind" => header.kind = one_of(pair, &KINDS)?,
        "scope" => scope(pair)?,
        "irreversible" => header.irreversible = Some(value.to_owned()),
        "allow" => *pending_allow = Some((pair.at, slug(pair)?)),
        "reason" => match pending_allow.take() {
            Some((_, rule)) => header.allow.push(Allow {
                rule,
                reason: value.to_owned(),
            }),
            None => {
                return Err(of_key(
                    "`reason` without an `allow` in front of it",
                    "write `allow=<rule> reason=\"…\"`",
                ));
            }
        },
        _ => return Err(not_yet(pair, "remove it")),
    }
    Ok(())
}

const PHASES: [(&str, Phase); 3] = [
    ("expand", Phase::Expand),
    ("migrate", Phase::Migrate),
    ("contract", Phase::Contract),
];
const KINDS: [(&str, Kind); 2] = [("schema", Kind::Schema), ("data", Kind::Data)];

fn known(key: &str) -> Result<&'static str, Refusal> {
    if let Some(known) = KEYS.iter().find(|known| **known == key) {
        return Ok(known);
    }
    Err(of_key(
        format!("unknown setting `{key}`"),
        match nearest(key, &KEYS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", KEYS.join(", ")),
        },
    ))
}

fn transaction(value: &str) -> Result<bool, Refusal> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(of_value(
            "`transaction` is `on` or `off`",
            "remove it: `on` is the default",
        )),
    }
}

fn online(pair: &Pair<'_>) -> Result<(), Refusal> {
    match pair.value {
        "none" => Ok(()),
        "auto" | "instant" | "pt-osc" | "gh-ost" => {
            Err(not_yet(pair, "remove it, or use `online=none`"))
        }
        _ => Err(of_value(
            "`online` is one of auto, instant, pt-osc, gh-ost, none",
            "only `none` is supported yet",
        )),
    }
}

fn scope(pair: &Pair<'_>) -> Result<(), Refusal> {
    match pair.value {
        "tenant" => Ok(()),
        "shared" => Err(not_yet(
            pair,
            "apply what tenants share by other means first",
        )),
        _ => Err(of_value(
            "`scope` is `tenant` or `shared`",
            "remove it: `tenant` is the default",
        )),
    }
}

fn lock_timeout(pair: &Pair<'_>) -> Result<u64, Refusal> {
    match duration(pair)? {
        0 => Err(of_value(
            "`lock_timeout=0` would wait for ever, and every query behind it as well",
            "give it a time, as lock_timeout=2s",
        )),
        millis => Ok(millis),
    }
}

/// `500ms`, `1s`, `2m`, `1h`, or `0`, in milliseconds.
fn duration(pair: &Pair<'_>) -> Result<u64, Refusal> {
    let value = pair.value;
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "" if !number.is_empty() && number.bytes().all(|b| b == b'0') => Some(1),
        _ => None,
    };
    let Some(factor) = factor.filter(|_| !number.is_empty()) else {
        return Err(of_value(
            format!("`{value}` is not a duration"),
            "write a whole number and its unit, as 500ms, 1s, 2m or 1h",
        ));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|millis| *millis <= MAX_MILLIS)
        .ok_or_else(|| {
            of_value(
                format!("`{value}` is longer than the servers accept"),
                "use at most 596h (24 days)",
            )
        })
}

fn slug(pair: &Pair<'_>) -> Result<String, Refusal> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_./".contains(c);
    if pair.value.chars().all(allowed) {
        return Ok(pair.value.to_owned());
    }
    Err(of_value(
        format!("`{}` is not a plain name", pair.value),
        "use small letters, digits, `-`, `_`, `.` and `/`",
    ))
}

fn versions(pair: &Pair<'_>) -> Result<Vec<String>, Refusal> {
    pair.value
        .split(',')
        .map(|version| {
            let version = version.trim();
            if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) {
                return Ok(version.to_owned());
            }
            Err(of_value(
                format!("`{version}` is not a version"),
                "list the digits in front of the file names: requires=20260101120000,20260102090000",
            ))
        })
        .collect()
}

fn one_of<T: Copy>(pair: &Pair<'_>, choices: &[(&str, T)]) -> Result<T, Refusal> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == pair.value) {
        return Ok(*choice);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    Err(of_value(
        format!("`{}` is not a value of `{}`", pair.value, pair.key),
        match nearest(pair.value, &names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("use one of {}", names.join(", ")),
        },
    ))
}

fn not_yet(pair: &Pair<'_>, hint: &str) -> Refusal {
    of_key(
        format!("`{}={}` is not supported yet", pair.key, pair.value),
        hint,
    )
}

fn of_key(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal {
        message: message.into(),
        hint: hint.into(),
        of_value: false,
    }
}

fn of_value(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal {
        of_value: true,
        ..of_key(message, hint)
    }
}
