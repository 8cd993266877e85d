//! The goals of the speed tables (`tests/bench/goals.tsv`), and a measured row held against its
//! goal. Pure: text and numbers in, text out.

use serde_json::Value;

/// What a row must reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) bench: String,
    pub(crate) row: String,
    pub(crate) bound: Bound,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) against: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

impl Goal {
    pub(crate) fn met_by(&self, measured: f64) -> bool {
        match self.bound {
            Bound::AtMost => measured <= self.value,
            Bound::AtLeast => measured >= self.value,
        }
    }

    pub(crate) fn text(&self) -> String {
        let sign = match self.bound {
            Bound::AtMost => "<=",
            Bound::AtLeast => ">=",
        };
        format!("{sign} {} {}", number(self.value), self.unit)
    }

    /// The figure of a measured row that this goal is about, in the goal's unit: the ratio to a
    /// peer, or the value itself.
    pub(crate) fn figure(&self, row: &Row) -> Result<f64, String> {
        if self.unit == "ratio" && row.unit != "ratio" {
            return row.ratio.ok_or_else(|| "was measured without its peer".into());
        }
        match (scale(&row.unit), scale(&self.unit)) {
            (Some((from, a)), Some((to, b))) if from == to => Ok(row.value * a / b),
            _ if row.unit == self.unit => Ok(row.value),
            _ => Err(format!("was measured in {}, not in {}", row.unit, self.unit)),
        }
    }
}

/// What a unit measures, and how many of the smallest such unit it is.
fn scale(unit: &str) -> Option<(&'static str, f64)> {
    Some(match unit {
        "ns" => ("time", 1.0),
        "us" => ("time", 1e3),
        "ms" => ("time", 1e6),
        "s" => ("time", 1e9),
        "B" => ("size", 1.0),
        "KiB" => ("size", 1024.0),
        "MiB" => ("size", 1024.0 * 1024.0),
        "GiB" => ("size", 1024.0 * 1024.0 * 1024.0),
        _ => return None,
    })
}

/// The goals' table. A broken line is the error.
pub(crate) fn read_goals(table: &str) -> Result<Vec<Goal>, String> {
    let rows = table.lines().skip(1);
    rows.map(|line| read_goal(line).ok_or_else(|| format!("not a goal: {line:?}"))).collect()
}

fn read_goal(line: &str) -> Option<Goal> {
    let [bench, row, bound, value, unit, against] = line.split('\t').collect::<Vec<_>>()[..] else {
        return None;
    };
    let bound = match bound {
        "<=" => Bound::AtMost,
        ">=" => Bound::AtLeast,
        _ => return None,
    };
    let value = value.parse().ok()?;
    let [bench, row, unit, against] = [bench, row, unit, against].map(str::to_owned);
    Some(Goal { bench, row, bound, value, unit, against })
}

/// One measured row, as benches print it with `--json`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) bench: String,
    pub(crate) row: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// What stood beside it in the same run, and its figure.
    pub(crate) peer: Option<(String, f64)>,
    pub(crate) ratio: Option<f64>,
    /// Of several rounds, of which the best counts; and the peer's.
    pub(crate) medians: Option<(f64, f64)>,
    /// All but the medians, as one object on one line.
    pub(crate) json: String,
}

/// The rows among a bench's lines; whatever else it prints is for people.
pub(crate) fn read_rows(output: &str) -> Vec<Row> {
    output.lines().filter_map(read_row).collect()
}

fn read_row(line: &str) -> Option<Row> {
    let mut json: Value = serde_json::from_str(line.trim()).ok()?;
    let object = json.as_object_mut()?;
    let mut taken = |key: &str| object.remove(key).and_then(|value| value.as_f64());
    let medians = taken("median").zip(taken("peer_median"));
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let peer = text("peer").zip(json["peer_value"].as_f64());
    Some(Row {
        bench: text("bench")?,
        row: text("row")?,
        value: json["value"].as_f64()?,
        unit: text("unit")?,
        peer,
        ratio: json["ratio"].as_f64(),
        medians,
        json: json.to_string(),
    })
}

/// One line of the final table.
pub(crate) type Line = [String; 8];

pub(crate) const TITLES: [&str; 8] =
    ["row", "ours", "median", "beside it", "median", "ratio", "goal", "reached"];

/// The table of a bench: goals in their order, then rows without a goal. Beside it, how many goals
/// were reached of how many.
pub(crate) fn compare(bench: &str, goals: &[Goal], rows: &[Row]) -> (Vec<Line>, usize, usize) {
    let mut lines = Vec::new();
    let mut reached = 0;
    let goals: Vec<_> = goals.iter().filter(|goal| goal.bench == bench).collect();
    for goal in &goals {
        let found = rows.iter().find(|row| row.bench == bench && row.row == goal.row);
        let verdict = match found.map(|row| goal.figure(row)) {
            None => "not measured".to_owned(),
            Some(Err(why)) => why,
            Some(Ok(figure)) if goal.met_by(figure) => {
                reached += 1;
                "yes".to_owned()
            }
            Some(Ok(_)) => "no".to_owned(),
        };
        lines.push(line(&goal.row, found, goal.text(), verdict));
    }
    let has_goal = |row: &&Row| goals.iter().any(|goal| goal.row == row.row && row.bench == bench);
    for row in rows.iter().filter(|row| !has_goal(row)) {
        lines.push(line(&row.row, Some(row), String::new(), String::new()));
    }
    (lines, reached, goals.len())
}

fn line(name: &str, row: Option<&Row>, goal: String, verdict: String) -> Line {
    let with_unit = |value: f64, row: &Row| format!("{} {}", number(value), row.unit);
    let ours = row.map(|row| with_unit(row.value, row)).unwrap_or_default();
    let peer = row.and_then(|row| {
        let (name, value) = row.peer.as_ref()?;
        Some(format!("{} ({name})", with_unit(*value, row)))
    });
    let ratio = row.and_then(|row| row.ratio).map(|ratio| format!("{ratio:.2}"));
    let [median, peer_median] = match row.and_then(|row| row.medians) {
        Some((ours, theirs)) => [number(ours), number(theirs)],
        None => [String::new(), String::new()],
    };
    let (peer, ratio) = (peer.unwrap_or_default(), ratio.unwrap_or_default());
    [name.to_owned(), ours, median, peer, peer_median, ratio, goal, verdict]
}

/// Three significant places: what a measurement on a busy machine is worth.
fn number(value: f64) -> String {
    let text = match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Lines under titles, as Markdown that also reads well in a terminal.
pub(crate) fn table(lines: &[Line]) -> String {
    let titles = TITLES.map(str::to_owned);
    let mut widths = titles.each_ref().map(|title| title.chars().count());
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let row = |cells: &Line| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.map(|width| "-".repeat(width));
    let mut text = row(&titles) + &row(&rule);
    text.extend(lines.iter().map(row));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOALS: &str = "\
bench\trow\top\tvalue\tunit\tagainst
actors\tlocal_tell\t<=\t1.20\tratio\tbare actix
actors\ttasks_per_s\t>=\t4000\t1/s\treal sockets
actors\tup_ready\t<=\t2.0\ts\tfirst offer
other\tx\t<=\t1\tms\tnothing
";

    const ROWS: &str = r#"
running, please wait
{"bench":"actors","row":"local_tell","value":80,"unit":"ns","peer":"actix","peer_value":70,"ratio":1.143,"median":82,"peer_median":71}
{"bench":"actors","row":"tasks_per_s","value":3999,"unit":"1/s"}
{"bench":"actors","row":"extra","value":1,"unit":"ms"}
"#;

    #[test]
    fn goals_are_reached_missed_or_not_measured() {
        let goals = read_goals(GOALS).expect("a good table");
        let (lines, reached, of) = compare("actors", &goals, &read_rows(ROWS));
        assert_eq!((reached, of), (1, 3));
        let verdicts: Vec<_> = lines.iter().map(|line| (&*line[0], &*line[7])).collect();
        assert_eq!(
            verdicts,
            [
                ("local_tell", "yes"),
                ("tasks_per_s", "no"),
                ("up_ready", "not measured"),
                ("extra", "")
            ]
        );
        assert_eq!((&*lines[0][2], &*lines[0][4]), ("82", "71"), "the medians stand beside");
    }

    #[test]
    fn a_row_for_programs_has_what_was_agreed_and_no_medians() {
        let rows = read_rows(ROWS);
        let json: Value = serde_json::from_str(&rows[0].json).expect("an object");
        let keys: Vec<_> = json.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["bench", "peer", "peer_value", "ratio", "row", "unit", "value"]);
    }

    #[test]
    fn units_of_one_kind_are_converted_others_are_not() {
        let goal =
            |unit: &str| Goal { unit: unit.into(), ..read_goals(GOALS).expect("good")[2].clone() };
        let row = |json: &str| read_row(json).expect("a row");
        let ms = row(r#"{"bench":"actors","row":"up_ready","value":1500,"unit":"ms"}"#);
        assert_eq!(goal("s").figure(&ms), Ok(1.5));
        assert!(goal("MiB").figure(&ms).is_err());
        assert!(goal("ratio").figure(&ms).is_err(), "a ratio needs a peer");
    }

    #[test]
    fn a_broken_goal_is_told() {
        assert!(read_goals("head\nactors\tx\t<\t1\tms\ty\n").is_err());
    }

    #[test]
    fn the_table_is_aligned() {
        let line =
            ["local_tell", "80 ns", "82", "70 ns (actix)", "71", "1.14", "<= 1.2 ratio", "yes"];
        let text = table(&[line.map(str::to_owned)]);
        let widths: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(widths, [widths[0]; 3], "{text}");
    }
}
