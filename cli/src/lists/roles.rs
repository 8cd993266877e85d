//! Roles, quota and weights as tables and as JSON.

use std::collections::BTreeMap;

use protocol::ids::FrameworkId;
use protocol::operator::{FrameworkView, RoleView};
use protocol::quantities::{Limits, Quantities};
use protocol::resources::Milli;
use serde::Serialize;
use serde_json::{Map, Number};

use crate::output::table;

/// Amounts, or a dash: what is not said is no amount.
fn amounts(quantities: &Quantities) -> String {
    if quantities.is_empty() { "-".into() } else { quantities.to_string() }
}

fn limits(limits: &Limits) -> String {
    if limits.is_empty() { "-".into() } else { limits.to_string() }
}

/// The most frameworks of one role that a table names.
const NAMED_MAX: usize = 3;

/// By name, as far as that is known.
fn names(ids: &[FrameworkId], names: &BTreeMap<&FrameworkId, &str>) -> String {
    let few = ids.iter().take(NAMED_MAX).map(|id| match names.get(id) {
        Some(name) if !name.is_empty() => name,
        Some(_) | None => id.as_str(),
    });
    let few: Vec<&str> = few.collect();
    match (few.join(", "), ids.len().saturating_sub(NAMED_MAX)) {
        (none, 0) if none.is_empty() => "-".to_owned(),
        (few, 0) => few,
        (few, more) => format!("{few} and {more} more"),
    }
}

/// The table of `airside roles`.
pub(crate) fn roles_table(roles: &[RoleView], frameworks: &[FrameworkView]) -> String {
    let by_id = frameworks.iter().map(|one| (&one.info.framework, &*one.info.name)).collect();
    let rows = roles.iter().map(|role| {
        vec![
            role.role.to_string(),
            role.weight.to_string(),
            names(&role.frameworks, &by_id),
            amounts(&role.allocated),
            amounts(&role.offered),
            amounts(&role.reserved),
            amounts(&role.quota.guarantees),
            limits(&role.quota.limits),
        ]
    });
    let head =
        ["ROLE", "WEIGHT", "FRAMEWORKS", "ALLOCATED", "OFFERED", "RESERVED", "GUARANTEE", "LIMIT"];
    table(&head, rows)
}

/// The table of `airside quota`.
pub(crate) fn quota_table(roles: &[RoleView]) -> String {
    let rows = roles.iter().map(|role| {
        vec![
            role.role.to_string(),
            amounts(&role.quota.guarantees),
            limits(&role.quota.limits),
            amounts(&role.consumed),
            amounts(&role.offered),
        ]
    });
    table(&["ROLE", "GUARANTEE", "LIMIT", "CONSUMED", "OFFERED"], rows)
}

/// The table of `airside weights`.
pub(crate) fn weights_table(roles: &[RoleView]) -> String {
    let rows = roles.iter().map(|role| vec![role.role.to_string(), role.weight.to_string()]);
    table(&["ROLE", "WEIGHT"], rows)
}

/// A role in JSON.
#[derive(Serialize)]
pub(crate) struct RoleJson {
    role: String,
    weight: f64,
    frameworks: Vec<String>,
    guarantees: Map<String, serde_json::Value>,
    limits: Map<String, serde_json::Value>,
    consumed: Map<String, serde_json::Value>,
    allocated: Map<String, serde_json::Value>,
    offered: Map<String, serde_json::Value>,
    reserved: Map<String, serde_json::Value>,
}

/// A role's quota in JSON.
#[derive(Serialize)]
pub(crate) struct QuotaJson {
    role: String,
    guarantees: Map<String, serde_json::Value>,
    limits: Map<String, serde_json::Value>,
    consumed: Map<String, serde_json::Value>,
    offered: Map<String, serde_json::Value>,
}

/// A role's weight in JSON.
#[derive(Serialize)]
pub(crate) struct WeightJson {
    role: String,
    weight: f64,
}

fn json<'a>(
    amounts: impl Iterator<Item = (&'a std::sync::Arc<str>, Milli)>,
) -> Map<String, serde_json::Value> {
    let number = |amount: Milli| Number::from_f64(amount.as_f64()).map(Into::into);
    amounts.map(|(name, amount)| (name.to_string(), number(amount).unwrap_or_default())).collect()
}

impl From<&RoleView> for RoleJson {
    fn from(view: &RoleView) -> Self {
        Self {
            role: view.role.to_string(),
            weight: view.weight.as_f64(),
            frameworks: view.frameworks.iter().map(ToString::to_string).collect(),
            guarantees: json(view.quota.guarantees.iter()),
            limits: json(view.quota.limits.iter()),
            consumed: json(view.consumed.iter()),
            allocated: json(view.allocated.iter()),
            offered: json(view.offered.iter()),
            reserved: json(view.reserved.iter()),
        }
    }
}

impl From<&RoleView> for QuotaJson {
    fn from(view: &RoleView) -> Self {
        let RoleJson { role, guarantees, limits, consumed, offered, .. } = RoleJson::from(view);
        Self { role, guarantees, limits, consumed, offered }
    }
}

impl From<&RoleView> for WeightJson {
    fn from(view: &RoleView) -> Self {
        Self { role: view.role.to_string(), weight: view.weight.as_f64() }
    }
}
