//! A message put together of parts that are encoded already.

use prost::{Message, Name};

use super::put::{close, open, put_bytes};
use crate::schema::{Field, MessageType, message_of};

/// The bytes of a message, as far as it is put together.
pub struct Parts {
    of: &'static MessageType,
    bytes: Vec<u8>,
}

impl Parts {
    /// Nothing yet, of a message of this type.
    pub fn of<M: Message + Name>() -> Self {
        Self { of: message_of::<M>(), bytes: Vec::new() }
    }

    /// A field of the message.
    ///
    /// # Panics
    ///
    /// If it has none of this name.
    pub fn field(&self, name: &str) -> &'static Field {
        self.of.field(name).unwrap_or_else(|| panic!("{} has no {name}", self.of.name()))
    }

    /// So many bytes will come.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// A field that is a message, of its bytes; once more if it is repeated.
    pub fn put(&mut self, field: &Field, encoded: &[u8]) {
        put_bytes(field, encoded, &mut self.bytes);
    }

    /// A field that is a message, put together by `make`.
    ///
    /// # Panics
    ///
    /// If the field is no message.
    pub fn message(&mut self, name: &str, make: impl FnOnce(&mut Self)) {
        let field = self.field(name);
        let of = field.message().unwrap_or_else(|| panic!("{name} is no message"));
        let start = open(field, &mut self.bytes);
        let mut inner = Self { of, bytes: std::mem::take(&mut self.bytes) };
        make(&mut inner);
        self.bytes = inner.bytes;
        close(start, &mut self.bytes);
    }

    /// All fields that are set in `message`, which is of the same type.
    pub fn rest<M: Message + Name>(&mut self, message: &M) {
        debug_assert_eq!(M::full_name(), self.of.name());
        self.bytes.extend(super::write(message));
    }

    /// All of it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use crate::v1::master::response::{GetState, GetTasks};
    use crate::v1::master::{Response, response};
    use crate::v1::{Task, TaskId};
    use crate::wire;

    #[test]
    fn what_is_put_together_is_what_is_written_whole() {
        let task = |n: usize| Task {
            task_id: TaskId { value: "t".repeat(n) },
            name: "name".into(),
            ..Task::default()
        };
        let tasks = GetTasks {
            tasks: vec![task(1), task(200)],
            completed_tasks: vec![task(3)],
            ..GetTasks::default()
        };
        let state = GetState { get_tasks: Some(tasks.clone()), ..GetState::default() };
        let r#type = Some(response::Type::GetState.into());
        let whole = Response { r#type, get_state: Some(state), ..Response::default() };
        let mut parts = Parts::of::<Response>();
        parts.rest(&Response { r#type, ..Response::default() });
        parts.message("get_state", |state| {
            state.message("get_tasks", |all| {
                for (name, list) in
                    [("tasks", &tasks.tasks), ("completed_tasks", &tasks.completed_tasks)]
                {
                    let field = all.field(name);
                    list.iter().for_each(|task| all.put(field, &wire::write(task)));
                }
            });
        });
        assert_eq!(parts.into_bytes(), wire::write(&whole));
    }
}
