//! From offsets to lines and columns.

use crate::diagnostic::Diagnostic;

/// Line and column, both from 1, of a byte offset; columns count characters. An offset past the end means the end,
/// one inside a character means that character.
pub fn position(text: &str, byte: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(byte)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let lines = before.bytes().filter(|b| *b == b'\n').count();
    (
        number(lines + 1),
        number(before[line_start..].chars().count() + 1),
    )
}

/// A count as the type of lines and columns; a file with more than four thousand million lines stays at the last.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A file whose offsets are asked for often: knows where its lines start.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file,
            text,
            line_starts,
        }
    }

    /// The same as `position`, without reading the file from its start. `byte` is a character boundary.
    pub(crate) fn position(&self, byte: usize) -> (u32, u32) {
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let start = self.line_starts[line - 1];
        (
            number(line),
            number(self.text[start..byte].chars().count() + 1),
        )
    }

    pub(crate) fn diagnostic(&self, byte: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.file, self.position(byte), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_newlines() {
        let text = "aé\nß;x\n";
        for (byte, expected) in [
            (0, (1, 1)),
            (1, (1, 2)),
            (2, (1, 2)),
            (3, (1, 3)),
            (4, (2, 1)),
            (6, (2, 2)),
            (9, (3, 1)),
            (99, (3, 1)),
        ] {
            assert_eq!(position(text, byte), expected, "byte {byte}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_indexed_source_agrees(text in "[aé\n]{0,40}", at in 0usize..60) {
            let byte = text.floor_char_boundary(at);
            proptest::prop_assert_eq!(Source::new("f", &text).position(byte), position(&text, byte));
        }
    }
}
