//! Variables of an environment as operators write them for many processes at once.

use std::collections::BTreeMap;

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

/// As Mesos has it: an object of JSON whose values are texts.
pub(crate) fn variables(text: &str) -> Result<Variables, String> {
    let read: Result<BTreeMap<String, String>, _> = serde_json::from_str(text);
    let all = read.map_err(|error| {
        format!("it is no object of texts by name, such as {{\"NAME\":\"value\"}}: {error}")
    })?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0', '\n']);
    for (name, value) in &all {
        if !is_name(name) {
            return Err(format!("{name:?} is no name of a variable"));
        }
        if value.contains('\0') {
            return Err(format!("the value of {name} has a zero byte in it"));
        }
    }
    Ok(Variables(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_texts_by_name_and_nothing_else_is_taken() {
        let read = variables(r#"{"A":"1","B":""}"#).unwrap();
        let pairs = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())];
        assert_eq!(read, Variables(BTreeMap::from(pairs)));
        for (bad, words) in [
            ("A=1", "it is no object of texts by name"),
            (r#"{"A":1}"#, "it is no object of texts by name"),
            (r#"{"A=B":"1"}"#, "is no name of a variable"),
            (r#"{"":"1"}"#, "is no name of a variable"),
            (r#"{"A":"\u0000"}"#, "the value of A has a zero byte in it"),
        ] {
            let said = variables(bad).unwrap_err();
            assert!(said.contains(words), "{bad}: {said}");
        }
    }
}
