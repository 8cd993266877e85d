//! The JSON of resources and their v1 messages, field for field.

use api::v1;
use api::v1::resource::disk_info::{self, source};
use api::v1::resource::reservation_info::Type as ReservationType;
use api::v1::resource::{AllocationInfo, DiskInfo, ReservationInfo, RevocableInfo, SharedInfo};
use api::v1::value::Type as ValueType;
use api::v1::volume::Mode;

use super::*;

impl From<JsonResource> for v1::Resource {
    fn from(json: JsonResource) -> Self {
        let range = |JsonRange { begin, end }| v1::value::Range { begin, end };
        let ranges = |JsonRanges { range: all }: JsonRanges| v1::value::Ranges {
            range: all.into_iter().map(range).collect(),
        };
        #[expect(deprecated, reason = "the older form of a reservation is read, too")]
        Self {
            provider_id: json.provider_id.map(|JsonId { value }| v1::ResourceProviderId { value }),
            name: json.name,
            r#type: match json.r#type {
                JsonType::Scalar => ValueType::Scalar,
                JsonType::Ranges => ValueType::Ranges,
                JsonType::Set => ValueType::Set,
                JsonType::Text => ValueType::Text,
            }
            .into(),
            scalar: json.scalar.map(|JsonScalar { value }| v1::value::Scalar { value }),
            ranges: json.ranges.map(ranges),
            set: json.set.map(|JsonSet { item }| v1::value::Set { item }),
            role: json.role,
            allocation_info: json
                .allocation_info
                .map(|JsonAllocation { role }| AllocationInfo { role }),
            reservation: json.reservation.map(Into::into),
            reservations: json.reservations.into_iter().map(Into::into).collect(),
            disk: json.disk.map(|disk| Box::new(disk.into())),
            revocable: json.revocable.map(|JsonEmpty {}| RevocableInfo {}),
            shared: json.shared.map(|JsonEmpty {}| SharedInfo {}),
        }
    }
}

/// Of what `to_v1` makes, which has no older form and no provider.
impl From<v1::Resource> for JsonResource {
    fn from(message: v1::Resource) -> Self {
        let range = |v1::value::Range { begin, end }| JsonRange { begin, end };
        let ranges = |ranges: v1::value::Ranges| JsonRanges {
            range: ranges.range.into_iter().map(range).collect(),
        };
        Self {
            r#type: match message.r#type() {
                ValueType::Scalar => JsonType::Scalar,
                ValueType::Ranges => JsonType::Ranges,
                ValueType::Set => JsonType::Set,
                ValueType::Text => JsonType::Text,
            },
            name: message.name,
            scalar: message.scalar.map(|scalar| JsonScalar { value: scalar.value }),
            ranges: message.ranges.map(ranges),
            set: message.set.map(|set| JsonSet { item: set.item }),
            role: None,
            reservation: None,
            reservations: message.reservations.into_iter().map(Into::into).collect(),
            disk: message.disk.map(|disk| (*disk).into()),
            revocable: message.revocable.map(|_| JsonEmpty {}),
            shared: message.shared.map(|_| JsonEmpty {}),
            allocation_info: message.allocation_info.map(|info| JsonAllocation { role: info.role }),
            provider_id: None,
        }
    }
}

impl From<JsonReservation> for ReservationInfo {
    fn from(json: JsonReservation) -> Self {
        let made = |made| match made {
            JsonMade::Unknown => ReservationType::Unknown,
            JsonMade::Static => ReservationType::Static,
            JsonMade::Dynamic => ReservationType::Dynamic,
        };
        Self {
            r#type: json.r#type.map(|it| made(it).into()),
            role: json.role,
            principal: json.principal,
            labels: json.labels.map(Into::into),
        }
    }
}

impl From<ReservationInfo> for JsonReservation {
    fn from(info: ReservationInfo) -> Self {
        let made = match info.r#type() {
            ReservationType::Unknown => JsonMade::Unknown,
            ReservationType::Static => JsonMade::Static,
            ReservationType::Dynamic => JsonMade::Dynamic,
        };
        Self {
            r#type: Some(made),
            role: info.role,
            principal: info.principal,
            labels: info.labels.map(Into::into),
        }
    }
}

impl From<JsonLabels> for v1::Labels {
    fn from(JsonLabels { labels }: JsonLabels) -> Self {
        let label = |JsonLabel { key, value }| v1::Label { key, value };
        Self { labels: labels.into_iter().map(label).collect() }
    }
}

impl From<v1::Labels> for JsonLabels {
    fn from(v1::Labels { labels }: v1::Labels) -> Self {
        let label = |v1::Label { key, value }| JsonLabel { key, value };
        Self { labels: labels.into_iter().map(label).collect() }
    }
}

impl From<JsonDisk> for DiskInfo {
    fn from(json: JsonDisk) -> Self {
        let persistence =
            |JsonPersistence { id, principal }| disk_info::Persistence { id, principal };
        let volume = |JsonVolume { mode, container_path }| v1::Volume {
            mode: match mode {
                JsonMode::Rw => Mode::Rw,
                JsonMode::Ro => Mode::Ro,
            }
            .into(),
            container_path,
            ..v1::Volume::default()
        };
        Self {
            persistence: json.persistence.map(persistence),
            volume: json.volume.map(volume),
            source: json.source.map(Into::into),
        }
    }
}

impl From<DiskInfo> for JsonDisk {
    fn from(info: DiskInfo) -> Self {
        let persistence =
            |disk_info::Persistence { id, principal }| JsonPersistence { id, principal };
        let volume = |volume: v1::Volume| JsonVolume {
            mode: match volume.mode() {
                Mode::Rw => JsonMode::Rw,
                Mode::Ro => JsonMode::Ro,
            },
            container_path: volume.container_path,
        };
        Self {
            persistence: info.persistence.map(persistence),
            volume: info.volume.map(volume),
            source: info.source.map(Into::into),
        }
    }
}

impl From<JsonSource> for disk_info::Source {
    fn from(json: JsonSource) -> Self {
        Self {
            r#type: match json.r#type {
                JsonSourceType::Unknown => source::Type::Unknown,
                JsonSourceType::Path => source::Type::Path,
                JsonSourceType::Mount => source::Type::Mount,
                JsonSourceType::Block => source::Type::Block,
                JsonSourceType::Raw => source::Type::Raw,
            }
            .into(),
            path: json.path.map(|JsonRoot { root }| source::Path { root }),
            mount: json.mount.map(|JsonRoot { root }| source::Mount { root }),
            vendor: json.vendor,
            id: json.id,
            metadata: json.metadata.map(Into::into),
            profile: json.profile,
        }
    }
}

impl From<disk_info::Source> for JsonSource {
    fn from(message: disk_info::Source) -> Self {
        Self {
            r#type: match message.r#type() {
                source::Type::Unknown => JsonSourceType::Unknown,
                source::Type::Path => JsonSourceType::Path,
                source::Type::Mount => JsonSourceType::Mount,
                source::Type::Block => JsonSourceType::Block,
                source::Type::Raw => JsonSourceType::Raw,
            },
            path: message.path.map(|path| JsonRoot { root: path.root }),
            mount: message.mount.map(|mount| JsonRoot { root: mount.root }),
            vendor: message.vendor,
            id: message.id,
            metadata: message.metadata.map(Into::into),
            profile: message.profile,
        }
    }
}
