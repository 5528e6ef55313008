//! Keeps passwords out of messages.

/// Replaces every occurrence of the secrets in a driver's message, and makes it one line.
pub(crate) fn redact(message: &str, secrets: &[String]) -> String {
    let mut text = message.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

/// What must never be printed of a connection URL: the password as written and percent-decoded.
pub(crate) fn secrets_of(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else {
        return Vec::new();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A password may hold '@' or '/' unescaped by mistake; take what lies before the last '@' of the whole URL too.
    let mut found = Vec::new();
    for part in [authority, rest] {
        let user_info = part.rsplit_once('@').map(|(user_info, _)| user_info);
        if let Some((_, password)) = user_info.and_then(|u| u.split_once(':')) {
            found.push(password.to_owned());
            found.push(decoded(password));
        }
    }
    for (key, value) in query_pairs(rest) {
        if key == "password" {
            found.push(value.to_owned());
            found.push(decoded(value));
        }
    }
    found.retain(|secret| !secret.is_empty());
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

fn query_pairs(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    rest.split_once('?')
        .map_or("", |(_, query)| query)
        .split('&')
        .filter_map(|pair| pair.split_once('='))
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("p={}", text.replace('+', "%2B")).as_bytes())
        .map(|(_, value)| value.into_owned())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_vanish_in_every_spelling() {
        let secrets = secrets_of("postgres://app:s%3Acret@db/x?password=other");
        let text = redact("bad s%3Acret\n or s:cret or other", &secrets);
        assert_eq!(text, "bad *** or *** or ***");
    }

    #[test]
    fn a_password_with_an_unescaped_slash_is_still_hidden() {
        let secrets = secrets_of("postgres://app:a/b@db/x");
        assert!(secrets.contains(&"a/b".to_owned()));
    }
}
