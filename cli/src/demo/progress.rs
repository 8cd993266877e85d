//! How far the frameworks of the demo are: they say `progress DONE TOTAL` in lines, and this draws bars of it.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// One bar for each framework; nothing is drawn where nobody looks.
pub(crate) struct Bars {
    all: MultiProgress,
    wordcount: ProgressBar,
    batch: ProgressBar,
}

impl Bars {
    /// Two bars at nothing.
    pub(crate) fn new() -> Self {
        let all = MultiProgress::new();
        let bar = |name: &'static str| {
            let style =
                ProgressStyle::with_template("  {prefix:10} {bar:40} {pos}/{len} tasks {msg}")
                    .expect("the template is a constant that the tests read");
            all.add(ProgressBar::new(0).with_style(style).with_prefix(name))
        };
        let (wordcount, batch) = (bar("wordcount"), bar("batch"));
        Self { all, wordcount, batch }
    }

    /// Moves the bars to what was said last.
    pub(crate) fn show(&self, wordcount: &str, batch: &str) {
        for (bar, said) in [(&self.wordcount, wordcount), (&self.batch, batch)] {
            if let Some((done, total)) = progress(said) {
                bar.set_length(total);
                bar.set_position(done);
            }
        }
    }

    /// Takes the bars away.
    pub(crate) fn end(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.all.clear();
    }

    /// What was done, for when the bars are gone.
    pub(crate) fn summary(&self, wordcount: &str, batch: &str) -> String {
        let tasks = |said| progress(said).map_or(0, |(done, _)| done);
        format!("wordcount ran {} tasks, batch {}\n", tasks(wordcount), tasks(batch))
    }
}

/// The line of a framework, for [`progress`] to read.
pub(crate) fn line(done: usize, total: usize) -> String {
    format!("progress {done} {total}\n")
}

/// How many tasks are done, of how many.
fn progress(said: &str) -> Option<(u64, u64)> {
    let mut words = said.strip_prefix("progress ")?.split(' ').map(str::parse);
    match (words.next(), words.next(), words.next()) {
        (Some(Ok(done)), Some(Ok(total)), None) => Some((done, total)),
        (_, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_is_written() {
        assert_eq!(progress(line(3, 40).trim_end()), Some((3, 40)));
        assert_eq!(progress("127.0.0.1:5050"), None);
        let bars = Bars::new();
        bars.show("progress 3 40", "");
        assert_eq!((bars.wordcount.position(), bars.wordcount.length()), (3, Some(40)));
        assert_eq!(
            bars.summary("progress 40 40", "progress 7 7"),
            "wordcount ran 40 tasks, batch 7\n"
        );
    }
}
