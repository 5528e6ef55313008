//! CREATE statements in normal form: `ALTER TABLE` rewrites their text with odd spacing, case and quotes.

/// The tokens of a statement, one blank between two; comments gone, names and keywords in lower case where they are
/// not quoted, quotes gone where the name does not need them.
pub(super) fn normal(sql: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let chars: Vec<char> = sql.chars().collect();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        let end = match c {
            _ if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '-' if next == Some('-') => {
                at = find(&chars, at, |w| w[0] == '\n');
                continue;
            }
            '/' if next == Some('*') => {
                at = find(&chars, at + 2, |w| w == ['*', '/']) + 2;
                continue;
            }
            '\'' | '"' | '`' => closing(&chars, at, c),
            '[' => closing(&chars, at, ']'),
            _ if is_word(c) => {
                at + chars
                    .get(at..)
                    .map_or(0, |rest| rest.iter().take_while(|c| is_word(**c)).count())
            }
            _ => at + 1,
        };
        let end = end.min(chars.len());
        let token: String = chars.get(at..end).unwrap_or_default().iter().collect();
        out.push(match c {
            '"' | '`' | '[' => unquoted(&token, c),
            '\'' => token,
            _ => token.to_lowercase(),
        });
        at = end;
    }
    out.join(" ")
}

/// A quoted name, bare where that is the same.
fn unquoted(token: &str, quote: char) -> String {
    let close = if quote == '[' { ']' } else { quote };
    let inner = token.get(1..token.len() - 1).unwrap_or_default();
    let name = inner.replace(&format!("{close}{close}"), &close.to_string());
    let plain = name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain && !name.is_empty() && name == name.to_lowercase() {
        name
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The index behind the closing quote; a doubled quote stands for itself.
fn closing(chars: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while let Some(&c) = chars.get(at) {
        if c == quote {
            if chars.get(at + 1) != Some(&quote) || quote == ']' {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    chars.len()
}

/// The index of the first pair of characters that is looked for, or the end.
fn find(chars: &[char], from: usize, wanted: impl Fn(&[char]) -> bool) -> usize {
    let rest = chars.get(from..).unwrap_or_default();
    rest.windows(2)
        .position(wanted)
        .map_or(chars.len(), |at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_case_and_needless_quotes_do_not_count() {
        let a = "CREATE TABLE \"t\" (a INT, -- note\n b text)";
        let b = "create  table t(A int/* x */,[b] TEXT )";
        assert_eq!(normal(a), normal(b));
        assert_eq!(normal(a), "create table t ( a int , b text )");
    }

    #[test]
    fn literals_and_quoted_names_keep_what_counts() {
        assert_ne!(normal("CHECK (x = 'A')"), normal("CHECK (x = 'a')"));
        assert_eq!(normal("\"Odd Name\" 'it''s'"), "\"Odd Name\" 'it''s'");
        assert_eq!(normal("'open"), "'open");
        assert_eq!(normal("\""), "\"\"");
    }
}
