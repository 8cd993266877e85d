//! Resources as JSON, field for field as the v1 API's JSON has them: a list, or an object with a list `resources`. A field that
//! nobody here knows is refused: a slip in `reservations` would give away what is somebody's.

mod mapping;

use serde::{Deserialize, Serialize};

use super::parse::ENTRIES_MAX;
use super::{BadResources, Resource, Resources};
use crate::ids::Role;

/// The entries of a text, in its order. What names no role is reserved for the default one.
pub(super) fn entries(text: &str, default_role: &Role) -> Result<Vec<Resource>, BadResources> {
    let json = |error: serde_json::Error| BadResources::Json(error.to_string());
    let list: Vec<JsonResource> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(json)?
    } else {
        serde_json::from_str::<Listed>(text).map_err(json)?.resources
    };
    if list.len() > ENTRIES_MAX {
        return Err(BadResources::TooMany(list.len()));
    }
    let entry = |(at, mut entry): (usize, JsonResource)| {
        if entry.role.is_none() && entry.reservations.is_empty() {
            entry.role = Some(default_role.to_string());
        }
        Resource::from_v1(&entry.into()).map_err(|why| BadResources::Entry { place: at + 1, why })
    };
    list.into_iter().enumerate().map(entry).collect()
}

impl Resources {
    /// Of a list as JSON, on whatever terms.
    pub fn from_json(text: &str) -> Result<Self, BadResources> {
        let resources: Self = entries(text, &Role::everybody())?.into_iter().collect();
        resources.check()?;
        Ok(resources)
    }

    /// As a list in JSON.
    pub fn to_json(&self) -> String {
        let list: Vec<JsonResource> = self.iter().map(|entry| entry.to_v1().into()).collect();
        serde_json::to_string(&list).expect("it has texts and finite numbers alone")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    resources: Vec<JsonResource>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum JsonType {
    Scalar,
    Ranges,
    Set,
    Text,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonResource {
    name: String,
    r#type: JsonType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scalar: Option<JsonScalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ranges: Option<JsonRanges>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<JsonSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reservation: Option<JsonReservation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reservations: Vec<JsonReservation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<JsonDisk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocable: Option<JsonEmpty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<JsonEmpty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allocation_info: Option<JsonAllocation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<JsonId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonEmpty {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonId {
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonScalar {
    value: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRange {
    begin: u64,
    end: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRanges {
    #[serde(default)]
    range: Vec<JsonRange>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonSet {
    #[serde(default)]
    item: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAllocation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLabel {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLabels {
    #[serde(default)]
    labels: Vec<JsonLabel>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum JsonMade {
    Unknown,
    Static,
    Dynamic,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonReservation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<JsonMade>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<JsonLabels>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonDisk {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence: Option<JsonPersistence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<JsonVolume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<JsonSource>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonPersistence {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum JsonMode {
    Rw,
    Ro,
}

/// Of a volume that outlives tasks; others are not taken.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonVolume {
    mode: JsonMode,
    container_path: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum JsonSourceType {
    Unknown,
    Path,
    Mount,
    Block,
    Raw,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRoot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonSource {
    r#type: JsonSourceType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<JsonRoot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mount: Option<JsonRoot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<JsonLabels>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
}
