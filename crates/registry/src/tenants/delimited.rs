//! CSV: one row a tenant, streamed.

use std::collections::BTreeSet;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use super::load::Sink;
use super::row::{At, KNOWN, Row, label_refused};
use crate::nearest::nearest;

/// What a column holds.
enum Column {
    Known(&'static str),
    Label(String),
    /// Already reported; its cells are passed over.
    Ignored,
}

/// Reads the file row by row into the sink. Never stops at a bad row, only at one that cannot be read.
pub(super) fn read(path: &Path, sink: &mut Sink) {
    let opened = ReaderBuilder::new().flexible(true).from_path(path);
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(e) => return sink.file_problem(format!("cannot be opened: {e}")),
    };
    let headers = match reader.byte_headers() {
        Ok(headers) => headers.clone(),
        Err(e) => return sink.file_problem(format!("cannot be read: {e}")),
    };
    let Some(columns) = columns(&headers, sink) else {
        return;
    };
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => row(&record, &columns, sink),
            Ok(false) => return,
            Err(e) => return sink.file_problem(format!("cannot be read: {e}")),
        }
    }
}

/// The meaning of each column, or `None` where rows make no sense without a better header.
fn columns(headers: &ByteRecord, sink: &mut Sink) -> Option<Vec<Column>> {
    let at = sink.at(1, 0);
    if headers.is_empty() {
        sink.problem(
            at,
            None,
            "is empty: the first line must name the columns, as in id,host,schema",
        );
        return None;
    }
    if headers.len() == 1 && headers[0].contains(&b';') {
        sink.problem(
            at,
            None,
            "columns are separated by ';': export it with commas",
        );
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut columns = Vec::with_capacity(headers.len());
    for (index, header) in headers.iter().enumerate() {
        let Ok(name) = std::str::from_utf8(header).map(str::trim) else {
            sink.problem(
                at,
                None,
                format!(
                    "the name of column {} is not UTF-8: save the file as UTF-8",
                    index + 1
                ),
            );
            return None;
        };
        if !seen.insert(name.to_owned()) {
            sink.problem(
                at,
                None,
                format!("column {name:?} appears twice; rename or remove one"),
            );
            columns.push(Column::Ignored);
        } else {
            columns.push(column(index, name, at, sink));
        }
    }
    let has = |name: &str| seen.contains(name);
    let mut whole = true;
    for (there, needed) in [
        (has("id"), "`id`"),
        (has("host") || has("url"), "`host` and no column `url`"),
    ] {
        if !there {
            whole = false;
            sink.problem(at, None, format!("has no column {needed}; the first line must name the columns, as in id,host,schema"));
        }
    }
    whole.then_some(columns)
}

fn column(index: usize, name: &str, at: At, sink: &mut Sink) -> Column {
    if let Some(known) = KNOWN.into_iter().find(|k| *k == name) {
        return Column::Known(known);
    }
    let refusal = if name.is_empty() {
        Some(format!("column {} has no name", index + 1))
    } else if let Some(known) = KNOWN.into_iter().find(|k| k.eq_ignore_ascii_case(name)) {
        Some(format!("column {name:?}: write `{known}`, in lower case"))
    } else {
        label_refused(name)
    };
    if let Some(message) = refusal {
        sink.problem(at, None, message);
        return Column::Ignored;
    }
    if let Some(known) = nearest(name, KNOWN) {
        sink.note(
            at,
            format!("column {name:?} is taken as a label; did you mean `{known}`?"),
        );
    }
    Column::Label(name.to_owned())
}

fn row(record: &ByteRecord, columns: &[Column], sink: &mut Sink) {
    let line = record.position().map_or(0, csv::Position::line);
    let at = sink.at(line, 0);
    let mut row = Row {
        at,
        ..Row::default()
    };
    for (column, bytes) in columns.iter().zip(record) {
        if bytes.is_empty() {
            continue;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            let id = row.id.as_deref();
            return sink.problem(at, id, "is not UTF-8 text: save the file as UTF-8");
        };
        match column {
            Column::Known(key) => {
                if let Some(cell) = row.cell(key) {
                    *cell = Some(text.to_owned());
                }
            }
            Column::Label(name) => {
                row.labels.insert(name.clone(), text.to_owned());
            }
            Column::Ignored => {}
        }
    }
    if record.len() != columns.len() {
        let message = format!(
            "has {} cells where the first line names {} columns; is a comma missing, a quote not closed, or a cell with a comma not quoted?",
            record.len(),
            columns.len()
        );
        return sink.problem(at, row.id.as_deref(), message);
    }
    sink.row(row);
}
