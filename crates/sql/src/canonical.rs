//! Bytes to canonical text: UTF-8, line feeds, no byte order mark. Checksums are taken of this form, so that an
//! editor or a checkout that changes line ends changes nothing.

use std::borrow::Cow;

use crate::diagnostic::Diagnostic;
use crate::position::{number, position};

/// The canonical text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// UTF-8 with LF line ends and without a byte order mark.
    pub text: String,
    /// Whether the file began with a byte order mark; worth a note to its author.
    pub had_bom: bool,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads a file's bytes.
///
/// # Errors
/// Refuses, with the place of the first offending byte: UTF-16 or UTF-32, NUL, invalid UTF-8, a carriage return
/// that no line feed follows.
pub fn canonical(file: &str, bytes: &[u8]) -> Result<Canonical, Diagnostic> {
    if let Some(encoding) = wide_encoding(bytes) {
        return Err(
            Diagnostic::new(file, (1, 1), format!("the file is {encoding}, not UTF-8"))
                .hint("save it as UTF-8; an editor calls this its encoding"),
        );
    }
    let had_bom = bytes.starts_with(BOM);
    let body = if had_bom { &bytes[BOM.len()..] } else { bytes };
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Diagnostic::new(
            file,
            place(body, at),
            format!("byte 0x{:02x} is not UTF-8", body[at]),
        )
        .hint("save the file as UTF-8; Latin-1 and Windows-1252 look like this")
    })?;
    if let Some(at) = text.find('\0') {
        return Err(
            Diagnostic::new(file, place(body, at), "the file contains a NUL character")
                .hint("no database accepts it in SQL text: remove it"),
        );
    }
    if let Some(at) = lone_carriage_return(text) {
        return Err(Diagnostic::new(
            file,
            place(body, at),
            "a line ends in a carriage return alone (CR)",
        )
        .hint(
            "save the file with LF or CRLF line ends; inside a string write E'\\r' or char(13)",
        ));
    }
    Ok(Canonical {
        text: text.replace("\r\n", "\n"),
        had_bom,
    })
}

/// UTF-16 shows by its mark, or by every other byte of its ASCII beginning being zero.
fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [first, 0, second, 0, ..] | [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            Some("UTF-16")
        }
        _ => None,
    }
}

fn lone_carriage_return(text: &str) -> Option<usize> {
    text.match_indices('\r')
        .map(|(at, _)| at)
        .find(|at| text.as_bytes().get(at + 1) != Some(&b'\n'))
}

/// The place of a byte in a file whose line ends may be of any kind and whose rest may be anything.
fn place(body: &[u8], at: usize) -> (u32, u32) {
    let before: Cow<'_, str> = String::from_utf8_lossy(&body[..at]);
    let unified = before.replace("\r\n", "\n").replace('\r', "\n");
    let (line, column) = position(&unified, unified.len());
    (line, column.max(number(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> Diagnostic {
        canonical("1_a.sql", bytes).unwrap_err()
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_do_not_matter() {
        let plain = canonical("f", "é\nb\n".as_bytes()).unwrap();
        let windows = canonical("f", "\u{feff}é\r\nb\r\n".as_bytes()).unwrap();
        assert_eq!(plain.text, windows.text);
        assert!(!plain.had_bom && windows.had_bom);
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_place() {
        let cases: [(&[u8], &str); 9] = [
            (b"\xff\xfea\0b\0", "1_a.sql:1:1: the file is UTF-16"),
            (b"\xfe\xff\0a\0b", "1_a.sql:1:1: the file is UTF-16"),
            (b"a\0b\0c\0", "1_a.sql:1:1: the file is UTF-16"),
            (b"\xff\xfe\0\0a\0\0\0", "1_a.sql:1:1: the file is UTF-32"),
            (b"ab\r\nc\0d", "1_a.sql:2:2: the file contains a NUL"),
            (b"a\n\xc3\xa9\xe9x", "1_a.sql:2:2: byte 0xe9 is not UTF-8"),
            (b"a\rb\r", "1_a.sql:1:2: a line ends in a carriage return"),
            (
                b"a\r\nb\rc",
                "1_a.sql:2:2: a line ends in a carriage return",
            ),
            (b"a\r\r\nb", "1_a.sql:1:2: a line ends in a carriage return"),
        ];
        for (bytes, start) in cases {
            let found = refused(bytes);
            assert!(found.to_string().starts_with(start), "{found}");
            assert!(found.hint.is_some());
        }
    }

    proptest::proptest! {
        #[test]
        fn canonical_text_is_a_fixed_point(text in "[a\u{feff}é\r\n;]{0,30}") {
            if let Ok(once) = canonical("f", text.as_bytes()) {
                proptest::prop_assert!(!once.text.contains('\r'));
                if !once.text.starts_with('\u{feff}') {
                    let twice = canonical("f", once.text.as_bytes()).unwrap();
                    proptest::prop_assert_eq!(once.text, twice.text);
                }
            }
        }
    }
}
