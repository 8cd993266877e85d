//! How much memory a message may take: a list of empty messages takes much more of it than bytes.

use crate::schema::MessageType;

/// What any message may take, in bytes.
const BASE_BYTES: usize = 16 << 20;

/// How many bytes of memory one byte of a body may take. Messages that say anything take ten or so.
const BYTES_PER_BYTE: usize = 64;

/// What is left of it.
pub(crate) struct Budget {
    bytes: usize,
}

/// There is not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has so many messages that say nothing that they would take more than {BYTES_PER_BYTE} times its size"
)]
pub struct TooHeavy;

impl Budget {
    /// Of a body of so many bytes.
    pub(crate) fn of(body_bytes: usize) -> Self {
        Self { bytes: BYTES_PER_BYTE.saturating_mul(body_bytes).saturating_add(BASE_BYTES) }
    }

    /// For one message of a list.
    pub(crate) fn spend(&mut self, message: &MessageType) -> Result<(), TooHeavy> {
        self.bytes = self.bytes.checked_sub(message.weight()).ok_or(TooHeavy)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use crate::schema::message_of;
    use crate::v1;

    #[test]
    fn a_weight_is_about_what_a_message_takes() {
        fn about<M: prost::Name>() {
            let (weight, size) = (message_of::<M>().weight(), size_of::<M>());
            assert!(
                weight >= size * 3 / 4 && weight <= size * 2 + 32,
                "{}: {weight} {size}",
                M::NAME
            );
        }
        about::<v1::TaskId>();
        about::<v1::Resource>();
        about::<v1::TaskInfo>();
        about::<v1::offer::Operation>();
        about::<v1::ContainerId>();
        about::<v1::ContainerInfo>();
        about::<v1::ResourceStatistics>();
        about::<v1::master::Call>();
        about::<v1::agent::Response>();
        about::<v1::NetworkInfo>();
    }
}
