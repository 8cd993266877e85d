//! How far the frameworks of the demo are: they say `progress DONE TOTAL` in lines, and this draws bars of it.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One bar for each framework; nothing is drawn where nobody looks.
pub(crate) struct Bars {
    all: MultiProgress,
    wordcount: ProgressBar,
    batch: ProgressBar,
}

impl Bars {
    /// Two bars at nothing.
    pub(crate) fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal that keeps the words and forgets where they stood.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(&format!("{line}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bars_are_drawn_as_far_as_the_frameworks_are() {
        let screen = Screen::default();
        let bars = Bars::on(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        bars.show("progress 20 40", "progress 7 7");
        // What is drawn too often is left out, but not this.
        bars.all.suspend(|| ());
        let drawn = screen.0.lock().unwrap().clone();
        let bar = |done, left| format!("{}{}", "█".repeat(done), "░".repeat(left));
        for line in [
            format!("  wordcount  {} 20/40 tasks", bar(20, 20)),
            format!("  batch      {} 7/7 tasks", bar(40, 0)),
        ] {
            assert!(drawn.contains(&line), "{line} is missing in\n{drawn}");
        }
    }

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
