//! What commands print. Whoever stops reading (`airside tasks | head`) is no error.

use std::error::Error;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

/// Writes to stdout; the end of a reader ends the program quietly.
pub(crate) fn print(text: &str) {
    write_all(&mut io::stdout().lock(), text.as_bytes());
}

/// Writes bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) {
    write_all(&mut io::stdout().lock(), bytes);
}

/// Writes to stderr: what is said to people beside the output.
pub(crate) fn narrate(text: &str) {
    write_all(&mut io::stderr().lock(), text.as_bytes());
}

/// Writes bytes to stderr as they are.
pub(crate) fn narrate_bytes(bytes: &[u8]) {
    write_all(&mut io::stderr().lock(), bytes);
}

fn write_all(to: &mut impl Write, bytes: &[u8]) {
    // Nobody reads any more, or the disk is full: there is nobody to tell.
    let _ = to.write_all(bytes).and_then(|()| to.flush());
}

/// A table without lines, its columns aligned, its last column as long as it is.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// A value as JSON, for `--json`.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("what we print has text keys only");
    text.push('\n');
    text
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    line.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_plain() {
        let rows = [vec!["a".into(), "1".into()], vec!["longer".into(), "22".into()]];
        assert_eq!(table(&["ID", "COUNT"], rows), "ID      COUNT\na       1\nlonger  22\n");
    }
}
