//! One machine's resources, divided among the agents that `up` starts on it.

use protocol::resources::{Milli, Ranges, Resources, Value};

/// The share of agent `index` of `count`: an equal part of each amount, and ports of its own.
pub(crate) fn share(all: &Resources, index: u16, count: u16) -> Resources {
    let (index, count) = (i64::from(index), i64::from(count));
    let mut mine = Resources::none();
    for resource in all.iter() {
        match &resource.value {
            Value::Scalar(amount) => {
                mine = mine.with_scalar(&resource.name, Milli(amount.0 / count));
            }
            Value::Ranges(ranges) => {
                mine = mine.with_ranges(&resource.name, part(ranges, index, count));
            }
            // Names cannot be divided: the first agent has them.
            Value::Set(_) if index == 0 => mine.add_one(resource.clone()),
            Value::Set(_) => {}
        }
    }
    mine
}

/// The numbers between the `index`th and the next of `count` equal cuts.
fn part(ranges: &Ranges, index: i64, count: i64) -> Ranges {
    let (index, count) = (index.unsigned_abs(), count.unsigned_abs());
    let size = ranges.count() / count;
    let before = ranges.take(size * index).unwrap_or_default();
    let through = ranges.take(size * (index + 1)).unwrap_or_default();
    through.minus(&before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_and_no_port_is_given_twice() {
        let all: Resources = "cpus:2;mem:1000;ports:[31000-31009,32000-32000]".parse().unwrap();
        let shares: Vec<String> = (0..3).map(|index| share(&all, index, 3).to_string()).collect();
        assert_eq!(
            shares,
            [
                "cpus:0.666;mem:333.333;ports:[31000-31002]",
                "cpus:0.666;mem:333.333;ports:[31003-31005]",
                "cpus:0.666;mem:333.333;ports:[31006-31008]",
            ]
        );
        let sum = (0..3).fold(Resources::none(), |sum, index| sum.plus(&share(&all, index, 3)));
        assert!(all.contains(&sum));
    }
}
