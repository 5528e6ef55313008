//! What an expression of PromQL names: series with their matchers, and labels that it groups by.
//!
//! No parser: whether an expression is well-formed, and answers, a real Prometheus says (`promtool` for the rules, the
//! system tests for dashboards). Here it is only read which names stand in it.

use std::iter::Peekable;
use std::str::CharIndices;

/// A series that an expression asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// The metric, as written: `…_bucket` too.
    pub(crate) metric: String,
    /// The labels of its matchers.
    pub(crate) labels: Vec<String>,
    /// Whether it asks for a range.
    pub(crate) range: Option<String>,
}

/// What an expression names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) selectors: Vec<Selector>,
    /// Labels in `by`, `without`, `on`, `ignoring`, `group_left`, `group_right`.
    pub(crate) groupings: Vec<String>,
}

/// Words that are no series.
const WORDS: &[&str] = &[
    "and", "or", "unless", "bool", "offset", "atan2", "inf", "nan",
];
/// Words with labels in brackets behind them.
const GROUPINGS: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// Inside of `[…]`.
    Range(String),
    /// A string; what is in it names nothing.
    Text,
    Sign(char),
}

/// Reads the names of an expression.
pub(crate) fn names(expr: &str) -> Names {
    let mut tokens = tokens(expr).into_iter().peekable();
    let mut names = Names::default();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) if GROUPINGS.contains(&word.as_str()) => {
                // `group_left` may stand alone.
                let follow = tokens.peek() == Some(&Token::Sign('('));
                let listed = if follow {
                    listed(&mut tokens, ')')
                } else {
                    Vec::new()
                };
                names.groupings.extend(listed);
            }
            Token::Word(word) if !WORDS.contains(&word.as_str()) => {
                // A function, or an aggregation: its brackets follow, or the labels that it groups by.
                let calls = match tokens.peek() {
                    Some(Token::Sign('(')) => true,
                    Some(Token::Word(next)) => GROUPINGS[..2].contains(&next.as_str()),
                    _ => false,
                };
                if !calls {
                    names.selectors.push(Selector {
                        metric: word,
                        labels: match tokens.peek() {
                            Some(Token::Sign('{')) => listed(&mut tokens, '}'),
                            _ => Vec::new(),
                        },
                        range: None,
                    });
                }
            }
            Token::Range(range) => {
                if let Some(last) = names.selectors.last_mut() {
                    last.range = Some(range);
                }
            }
            _ => {}
        }
    }
    names
}

/// The words up to the closing sign.
fn listed(tokens: &mut impl Iterator<Item = Token>, end: char) -> Vec<String> {
    tokens
        .take_while(|token| *token != Token::Sign(end))
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            _ => None,
        })
        .collect()
}

fn tokens(expr: &str) -> Vec<Token> {
    let mut chars = expr.char_indices().peekable();
    let mut tokens = Vec::new();
    while let Some((start, c)) = chars.next() {
        match c {
            '"' | '\'' => {
                while let Some((_, next)) = chars.next() {
                    match next {
                        '\\' => drop(chars.next()),
                        _ if next == c => break,
                        _ => {}
                    }
                }
                tokens.push(Token::Text);
            }
            '[' => {
                let inside = while_(&mut chars, expr, start + 1, |c| c != ']');
                tokens.push(Token::Range(inside.to_owned()));
            }
            _ if c.is_ascii_digit() => {
                while_(&mut chars, expr, start, |c| {
                    c.is_ascii_alphanumeric() || c == '.'
                });
            }
            _ if c.is_ascii_alphabetic() || matches!(c, '_' | ':' | '$') => {
                let word = while_(&mut chars, expr, start, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
                });
                tokens.push(Token::Word(word.to_owned()));
            }
            _ if c.is_whitespace() => {}
            _ => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

/// The text from `start` as long as its characters are wanted.
fn while_<'a>(
    chars: &mut Peekable<CharIndices<'_>>,
    expr: &'a str,
    start: usize,
    wanted: impl Fn(char) -> bool,
) -> &'a str {
    while chars.next_if(|(_, c)| wanted(*c)).is_some() {}
    let end = chars.peek().map_or(expr.len(), |(at, _)| *at);
    &expr[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expr: &str) -> (Vec<String>, Vec<String>) {
        let found = names(expr);
        let selectors = found.selectors.into_iter().map(|selector| {
            let range = selector.range.map(|range| format!("[{range}]"));
            format!(
                "{}({}){}",
                selector.metric,
                selector.labels.join(" "),
                range.unwrap_or_default()
            )
        });
        (selectors.collect(), found.groupings)
    }

    #[test]
    fn series_labels_and_groupings_are_told_apart() {
        for (expr, series, labels) in [
            ("up", &["up()"][..], &[][..]),
            ("time() - max(a{x=\"b{c}\", y!~'d\\'e'})", &["a(x y)"], &[]),
            (
                "sum by (x, y) (rate(a_total{z=\"1\"}[5m])) / on (x) group_left (w) b > bool 0.5e3",
                &["a_total(z)[5m]", "b()"],
                &["x", "y", "x", "w"],
            ),
            (
                "histogram_quantile(0.95, sum(rate(a_bucket[$__rate_interval])) without (instance))",
                &["a_bucket()[$__rate_interval]"],
                &["instance"],
            ),
            (
                "level_b:metric:sum{x=\"1\"} unless on () absent(c) or vector(0)",
                &["level_b:metric:sum(x)", "c()"],
                &[],
            ),
            (
                "max by (q) (a) == 1 and b offset 5m",
                &["a()", "b()"],
                &["q"],
            ),
        ] {
            let found = read(expr);
            assert_eq!(found.0, series, "{expr}");
            assert_eq!(found.1, labels, "{expr}");
        }
    }
}
