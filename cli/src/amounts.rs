//! What is said of roles as people write it: amounts such as `cpus:2;mem:1024`, and weights such as `eng=2,ops=0.5`.

use std::collections::BTreeMap;
use std::str::FromStr;

use protocol::ids::{BadRole, Role};
use protocol::quantities::{BadQuantities, Limits, Quantities};
use protocol::quota::{BadWeight, Weight};

/// Why a text says nothing of roles.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadSaying {
    #[error("nothing is named: expected amounts such as cpus:2;mem:1024")]
    Nothing,
    #[error(transparent)]
    Amounts(#[from] BadQuantities),
    #[error("{0} is named twice")]
    Twice(String),
    #[error("'{0}' is no weight: expected a number such as 2 or 0.5")]
    Number(String),
    #[error("'{0}' is not of the form role=weight, such as eng=2,ops=0.5")]
    WeightForm(String),
    #[error(transparent)]
    Weight(#[from] BadWeight),
    #[error(transparent)]
    Role(#[from] BadRole),
}

/// What a role is guaranteed. Memory and disk are megabytes, as in all resources.
pub(crate) fn guarantees(text: &str) -> Result<Quantities, BadSaying> {
    something(text)
}

/// What a role may have at most; zero is none of it.
pub(crate) fn limits(text: &str) -> Result<Limits, BadSaying> {
    something(text)
}

/// Whoever names nothing has most likely forgotten it.
fn something<T: FromStr<Err = BadQuantities>>(text: &str) -> Result<T, BadSaying> {
    let named = text.split(';').any(|part| !part.trim().is_empty());
    if named { Ok(text.parse()?) } else { Err(BadSaying::Nothing) }
}

/// How much a role's share weighs.
pub(crate) fn weight(text: &str) -> Result<Weight, BadSaying> {
    let number: f64 = text.trim().parse().map_err(|_| BadSaying::Number(text.into()))?;
    Ok(Weight::try_from(number)?)
}

/// Weights of several roles, as Mesos writes them.
pub(crate) fn weights(text: &str) -> Result<Weights, BadSaying> {
    let mut all = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let form = || BadSaying::WeightForm(part.into());
        let (name, number) = part.split_once('=').ok_or_else(form)?;
        let name: Role = name.trim().parse()?;
        if all.insert(name.clone(), weight(number)?).is_some() {
            return Err(BadSaying::Twice(format!("role {name}")));
        }
    }
    Ok(Weights(all))
}

/// By role; a type of its own, since clap gathers lists by themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights(pub(crate) BTreeMap<Role, Weight>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_by_name() {
        let read = |text| guarantees(text).map(|all| all.to_string()).ok();
        assert_eq!(read("cpus:2; mem:1024;").as_deref(), Some("cpus:2;mem:1024"));
        assert_eq!(read("cpus:0.001;gpus:0").as_deref(), Some("cpus:0.001"));
        let zero = limits("gpus:0;cpus:1e3").map(|all| all.to_string()).ok();
        assert_eq!(zero.as_deref(), Some("cpus:1000;gpus:0"), "a limit of nothing is one");
    }

    #[test]
    fn what_is_no_amount_is_refused_in_words() {
        for (bad, words) in [
            ("", "nothing is named"),
            (";", "nothing is named"),
            ("cpus", "'cpus' is not of the form name:amount"),
            ("cpus:2;cpus:3", "cpus is named twice"),
            ("cpus:0.0004", "the amount of cpus is '0.0004': it is less than a thousandth"),
        ] {
            let said = guarantees(bad).expect_err(bad).to_string();
            assert!(said.contains(words), "{bad}: {said}");
        }
    }

    #[test]
    fn weights_of_several_roles_are_read_as_mesos_writes_them() {
        let read = weights("eng=2, eng/web=0.5,*=3").expect("they are weights").0;
        let all: Vec<String> =
            read.iter().map(|(role, weight)| format!("{role} {weight}")).collect();
        assert_eq!(all, ["* 3", "eng 2", "eng/web 0.5"]);
        for (bad, words) in [
            ("eng", "'eng' is not of the form role=weight"),
            ("eng=2,eng=3", "role eng is named twice"),
            ("a//b=2", "role 'a//b' has an empty part"),
            ("eng=x", "'x' is no weight"),
            ("eng=0", "a weight must be a number from 0.000001"),
        ] {
            let said = weights(bad).expect_err(bad).to_string();
            assert!(said.contains(words), "{bad}: {said}");
        }
    }
}
