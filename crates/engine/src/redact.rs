//! Keeps passwords out of messages.

/// Replaces every occurrence of the secrets in a driver's message, and makes it one line.
pub(crate) fn redact(message: &str, secrets: &[String]) -> String {
    let mut text = message.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

/// Hides what a message quotes, in whatever language the server speaks: everything between the first quotation mark
/// and the last, because a value may hold marks itself.
pub(crate) fn without_values(message: &str) -> String {
    let is_mark = |c: char| {
        matches!(
            c,
            '"' | '«' | '»' | '„' | '“' | '”' | '‹' | '›' | '「' | '」'
        )
    };
    let marks: Vec<_> = message
        .char_indices()
        .filter(|(_, c)| is_mark(*c))
        .collect();
    match (marks.first(), marks.last()) {
        (Some((first, mark)), Some((last, _))) if first < last => {
            format!(
                "{}***{}",
                &message[..first + mark.len_utf8()],
                &message[*last..]
            )
        }
        (Some((first, mark)), _) => format!("{}***", &message[..first + mark.len_utf8()]),
        _ => message.to_owned(),
    }
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
    fn quoted_values_vanish_in_every_language() {
        for (message, masked) in [
            (
                "syntax for type integer: \"jane \"x\" doe\"",
                "syntax for type integer: \"***\"",
            ),
            (
                "value \"99\" is out of range",
                "value \"***\" is out of range",
            ),
            (
                "Syntax für Typ integer: »jane«",
                "Syntax für Typ integer: »***«",
            ),
            ("division by zero", "division by zero"),
            ("cut \"off", "cut \"***"),
        ] {
            assert_eq!(without_values(message), masked);
        }
    }

    #[test]
    fn a_password_with_an_unescaped_slash_is_still_hidden() {
        let secrets = secrets_of("postgres://app:a/b@db/x");
        assert!(secrets.contains(&"a/b".to_owned()));
    }
}
