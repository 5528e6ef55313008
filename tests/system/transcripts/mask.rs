//! What differs from run to run, made equal: ids, times, paths, ports, hashes.

use crate::fleet::Fleet;

/// The names of one fleet, and what stands for them.
pub(super) struct Mask {
    names: Vec<(String, &'static str)>,
}

impl Mask {
    /// The names of this fleet.
    pub(super) fn of(fleet: &Fleet) -> Self {
        let directory = fleet.path("").display().to_string();
        let directory = directory.trim_end_matches('/').to_owned();
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let anna = format!("anna@{}", machine.trim());
        let mut names = vec![(directory, "DIR"), (anna, "anna@HOST")];
        if let Some(url) = fleet.postgres_url() {
            let (server, database) = url.rsplit_once('/').unwrap_or((url, ""));
            names.push((server.to_owned(), "postgres://SERVER"));
            names.push((database.to_owned(), "DATABASE"));
        }
        Self { names }
    }

    /// The lines of an output, without those that are there by how long something took.
    pub(super) fn lines(&self, output: &str) -> Vec<String> {
        let mut text = output.to_owned();
        for (name, mask) in self.names.iter().filter(|(name, _)| !name.is_empty()) {
            text = text.replace(name, mask);
        }
        let by_chance = |line: &&str| {
            line.contains(" tenants done, ") || line.starts_with("no wave has opened yet")
        };
        text.lines()
            .filter(|line| !by_chance(line))
            .map(line)
            .collect()
    }
}

/// A line without what tells one run from another.
pub(crate) fn line(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = masked.chars().next_back();
        let begins = !before.is_some_and(|c| c.is_ascii_alphanumeric());
        let found = [uuid, time, hash, port, lasted, server]
            .iter()
            .find_map(|shape| shape(rest))
            .filter(|_| begins);
        let found = found.map(|(length, mask)| match masked.ends_with("store ") {
            true => (length, "STORE"),
            false => (length, mask),
        });
        match found {
            Some((length, mask)) => {
                masked.push_str(mask);
                rest = &rest[length..];
            }
            None => {
                masked.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    masked
}

type Found = Option<(usize, &'static str)>;

/// `019ac3f2-…`: ids of rollouts and stores.
fn uuid(text: &str) -> Found {
    let id = text.get(..36)?;
    let shaped = id.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    });
    shaped.then_some((36, "ROLLOUT"))
}

/// `2026-11-27T02:00:00.123456Z`
fn time(text: &str) -> Found {
    let end = text.find('Z')?;
    let time = text.get(..end)?;
    let shaped = time.len() >= 19
        && time.as_bytes().get(10) == Some(&b'T')
        && time
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | 'T' | '.'));
    shaped.then_some((end + 1, "TIME"))
}

/// Twelve hexadecimal digits or more: hashes of plans, bundles, texts.
fn hash(text: &str) -> Found {
    let end = text
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(text.len());
    let ends = text[end..]
        .chars()
        .next()
        .is_none_or(|c| !c.is_ascii_alphanumeric());
    (end >= 12 && ends).then_some((end, "HASH"))
}

/// `127.0.0.1:54321`
fn port(text: &str) -> Found {
    let digits = text.strip_prefix("127.0.0.1:")?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    (end > 1).then_some((10 + end, "127.0.0.1:PORT"))
}

/// `PostgreSQL 15.2`
fn server(text: &str) -> Found {
    let version = text.strip_prefix("PostgreSQL ")?;
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    (end > 0).then_some((11 + end, "PostgreSQL VERSION"))
}

/// `12 ms`
fn lasted(text: &str) -> Found {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = text[digits..].starts_with(" ms");
    (digits > 0 && unit).then_some((digits + 3, "N ms"))
}
