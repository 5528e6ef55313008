//! Finds the line on which a key of a TOML text is written, for messages.
//!
//! Reads headers and keys line by line; it need not understand values, because the text has been parsed already.

use std::collections::HashMap;

/// The lines of a text's keys.
#[derive(Debug, Default)]
pub(super) struct Lines(HashMap<Vec<String>, usize>);

impl Lines {
    /// Indexes a TOML text.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        let mut header: Vec<String> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if let Some(rest) = line.strip_prefix("[[") {
                header = lines.resolve(keys(rest).0);
                let count = (0..).find(|n| !lines.0.contains_key(&with(&header, &n.to_string())));
                header.push(count.unwrap_or(0).to_string());
            } else if let Some(rest) = line.strip_prefix('[') {
                header = lines.resolve(keys(rest).0);
            } else {
                let (path, ended_by) = keys(line);
                if ended_by == Some('=') && !path.is_empty() {
                    lines
                        .0
                        .entry([header.clone(), path].concat())
                        .or_insert(index + 1);
                }
                continue;
            }
            lines.0.entry(header.clone()).or_insert(index + 1);
        }
        lines
    }

    /// The line of the path, or of its nearest parent that has one; from 1.
    pub(super) fn find(&self, path: &[String]) -> Option<usize> {
        (1..=path.len())
            .rev()
            .find_map(|length| self.0.get(&path[..length]).copied())
    }

    /// Inside `[[list]]`, `[list.table]` belongs to the last element.
    fn resolve(&self, path: Vec<String>) -> Vec<String> {
        let mut resolved: Vec<String> = Vec::new();
        let last = path.len().saturating_sub(1);
        for (position, key) in path.into_iter().enumerate() {
            resolved.push(key);
            if position < last {
                let elements = (0..)
                    .take_while(|n: &usize| self.0.contains_key(&with(&resolved, &n.to_string())));
                if let Some(element) = elements.last() {
                    resolved.push(element.to_string());
                }
            }
        }
        resolved
    }
}

fn with(path: &[String], key: &str) -> Vec<String> {
    [path, &[key.to_owned()]].concat()
}

/// The dotted key at the start of a line, and the character that ended it.
fn keys(text: &str) -> (Vec<String>, Option<char>) {
    let mut path = Vec::new();
    let mut key = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => key.extend(chars.by_ref().take_while(|inner| *inner != c)),
            '.' => path.push(std::mem::take(&mut key)),
            ' ' | '\t' => {}
            c if c.is_alphanumeric() || c == '_' || c == '-' => key.push(c),
            other => {
                path.push(key);
                return (path, Some(other));
            }
        }
    }
    (path, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_headers_and_lists_are_found() {
        let text = "# top\n[fleet]\nname = \"a=b\"\n\n[hosts.\"eu-1\"]\nurl = 'x'\n[[rollout.waves]]\nname = \"canary\"\nhalt = { max_failures = 0 }\n[[rollout.waves]]\nrest = true\n[rollout.waves.halt]\nmax_failures = 1\n[rollout]\nhalt.same_cause = 2\n";
        let lines = Lines::of(text);
        let find = |path: &str| lines.find(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(find("fleet.name"), Some(3));
        assert_eq!(find("fleet.missing"), Some(2));
        assert_eq!(find("hosts.eu-1.url"), Some(6));
        assert_eq!(find("rollout.waves.0.name"), Some(8));
        assert_eq!(find("rollout.waves.0.halt.max_failures"), Some(9));
        assert_eq!(find("rollout.waves.1.rest"), Some(11));
        assert_eq!(find("rollout.waves.1.halt.max_failures"), Some(13));
        assert_eq!(find("rollout.halt.same_cause"), Some(15));
        assert_eq!(find("nothing"), None);
    }
}
