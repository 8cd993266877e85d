//! Rows: ours and the reference's, minimum and median, and the ratio of the minima.

/// Times or rates of one side.
pub struct Side(Vec<f64>);

impl Side {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The least.
    pub fn least(&self) -> f64 {
        self.sorted()[0]
    }

    /// The most: for rates.
    pub fn most(&self) -> f64 {
        *self.sorted().last().unwrap()
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub fn percentile(&self, percent: usize) -> f64 {
        let sorted = self.sorted();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }
}

pub struct Table {
    json: bool,
    begun: bool,
}

impl Table {
    pub fn new(json: bool) -> Self {
        Self { json, begun: false }
    }

    /// Less is better: the minima count.
    pub fn time(&mut self, row: &str, unit: &str, ours: &Side, peer: &str, theirs: &Side) {
        let values = [ours.least(), ours.median(), theirs.least(), theirs.median()];
        self.print(row, unit, peer, values);
    }

    /// More is better: the maxima count.
    pub fn rate(&mut self, row: &str, unit: &str, ours: &Side, peer: &str, theirs: &Side) {
        let values = [ours.most(), ours.median(), theirs.most(), theirs.median()];
        self.print(row, unit, peer, values);
    }

    fn print(
        &mut self,
        row: &str,
        unit: &str,
        peer: &str,
        [ours, ours_median, theirs, theirs_median]: [f64; 4],
    ) {
        let ratio = ours / theirs;
        if self.json {
            println!(
                "{{\"bench\":\"actors\",\"row\":\"{row}\",\"value\":{ours:.3},\"unit\":\"{unit}\",\"peer\":\"{peer}\",\"peer_value\":{theirs:.3},\"ratio\":{ratio:.4},\"median\":{ours_median:.3},\"peer_median\":{theirs_median:.3}}}"
            );
            return;
        }
        self.head();
        println!(
            "{row:<24} {ours:>12.1} {ours_median:>12.1} {theirs:>12.1} {theirs_median:>12.1} {ratio:>7.3} {unit:<5} {peer}"
        );
    }

    /// A row without a reference.
    pub fn plain(&mut self, row: &str, unit: &str, value: f64, what: &str) {
        if self.json {
            println!(
                "{{\"bench\":\"actors\",\"row\":\"{row}\",\"value\":{value:.4},\"unit\":\"{unit}\"}}"
            );
            return;
        }
        self.head();
        println!(
            "{row:<24} {value:>12.4} {:>12} {:>12} {:>12} {:>7} {unit:<5} {what}",
            "", "", "", ""
        );
    }

    fn head(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            println!(
                "{:<24} {:>12} {:>12} {:>12} {:>12} {:>7} unit  reference",
                "row", "best", "median", "ref best", "ref median", "ratio"
            );
        }
    }
}
