//! What is to become of a task while its agent cannot be reached, as its framework says of each: a label of the task, which
//! travels with all else that a [`TaskSpec`] carries.

use api::v1;
use prost::encoding::message;

use crate::carried::Carried;
use crate::task::TaskSpec;

/// The label's key. Its value is one of [`Fate::word`]; the last one counts if there are several.
pub const UNREACHABLE_LABEL: &str = "airside.unreachable";

/// The number of the field `labels` in a `TaskInfo`.
const LABELS: u32 = 10;

/// What becomes of a task whose agent is given up as unreachable. Without a word of it a task is kept, and its framework is
/// told of it as it knows: `Unreachable` if it is partition aware, `Lost` if not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is told to be `Unreachable`, whatever its framework knows of partitions, and comes back with its agent.
    Keep,
    /// It is told to be `Lost` at once, and is killed if its agent comes back with it.
    End,
}

/// The label has another value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the label {UNREACHABLE_LABEL} is '{0}', and it may be 'keep' or 'end'")]
pub struct BadFate(pub String);

impl Fate {
    /// As the label has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::End => "end",
        }
    }

    /// What the labels of a task say of it, if anything.
    pub fn of(info: &v1::TaskInfo) -> Result<Option<Self>, BadFate> {
        let labels = info.labels.iter().flat_map(|labels| &labels.labels);
        let mut fate = None;
        for label in labels.filter(|label| label.key == UNREACHABLE_LABEL) {
            let word = label.value.as_deref().unwrap_or_default();
            let named = [Self::Keep, Self::End].into_iter().find(|fate| fate.word() == word);
            fate = Some(named.ok_or_else(|| BadFate(word.to_owned()))?);
        }
        Ok(fate)
    }
}

impl TaskSpec {
    /// Says what is to become of it while its agent cannot be reached.
    #[must_use]
    pub fn when_unreachable(self, fate: Fate) -> Self {
        let (key, value) = (UNREACHABLE_LABEL.to_owned(), Some(fate.word().to_owned()));
        let labels = v1::Labels { labels: vec![v1::Label { key, value }] };
        let mut bytes = self.carried.as_bytes().to_vec();
        // What is appended is one label more; all else stays as it came.
        message::encode(LABELS, &labels, &mut bytes);
        Self { carried: Carried::from_bytes(bytes), ..self }
    }

    /// What was said of that. Nothing if what it carries makes no sense, which is refused at its launch.
    pub fn fate(&self) -> Option<Fate> {
        if self.carried.as_bytes().is_empty() {
            return None;
        }
        Fate::of(&self.carried.decode().ok()?).ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::{BadFate, Fate, UNREACHABLE_LABEL};
    use crate::carried::Carried;
    use crate::ids::TaskId;
    use crate::task::{CommandSpec, Run, TaskSpec};
    use api::v1;

    fn task(labels: &[(&str, &str)]) -> TaskSpec {
        let label = |(key, value): &(&str, &str)| v1::Label {
            key: (*key).to_owned(),
            value: Some((*value).to_owned()),
        };
        let labels = v1::Labels { labels: labels.iter().map(label).collect() };
        let info =
            v1::TaskInfo { name: "of old".into(), labels: Some(labels), ..Default::default() };
        TaskSpec {
            task: TaskId::new("a"),
            name: String::new(),
            resources: Default::default(),
            run: Run::Command(CommandSpec::default()),
            kill_grace: None,
            carried: Carried::new(&info),
        }
    }

    #[test]
    fn what_is_said_last_of_a_task_counts_and_nothing_else_of_it_changes() {
        assert_eq!(task(&[("rack", "end")]).fate(), None);
        let said = task(&[("rack", "r1")]).when_unreachable(Fate::Keep);
        assert_eq!(said.fate(), Some(Fate::Keep));
        let said = said.when_unreachable(Fate::End);
        assert_eq!(said.fate(), Some(Fate::End));
        let info = said.carried.decode().unwrap();
        let keys: Vec<_> = info.labels.iter().flat_map(|l| &l.labels).map(|l| &*l.key).collect();
        assert_eq!(keys, ["rack", UNREACHABLE_LABEL, UNREACHABLE_LABEL]);
        assert_eq!(info.name, "of old");
    }

    #[test]
    fn any_other_word_is_an_error() {
        for word in ["", "Keep", "kill"] {
            let info = task(&[(UNREACHABLE_LABEL, word)]).carried.decode().unwrap();
            assert_eq!(Fate::of(&info), Err(BadFate(word.to_owned())));
        }
    }
}
