//! What operators change, whichever API they use: quota, weights, who is there.

use std::collections::BTreeMap;

use api::v1;
use api::v1::quota::{QuotaConfig, QuotaRequest};
use gateway::Refused;
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::operator::{MarkAgentGone, SetAnswer, SetQuotas, SetWeights, Teardown};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::Quota;
use protocol::resources::{Milli, Resources};

use crate::start::Running;

/// What the master made of it.
fn done(answer: Result<SetAnswer, libactor::AskError>, status: u16) -> Result<(), Refused> {
    match answer {
        Ok(SetAnswer::SetAt(_)) => Ok(()),
        Ok(SetAnswer::Refused(words)) => Err(Refused::new(status, words)),
        Err(error) => Err(Refused::new(503, format!("the master does not answer: {error}"))),
    }
}

/// Ends a framework with all its tasks.
pub(super) async fn teardown(reign: &Running, id: &str) -> Result<(), Refused> {
    let framework = FrameworkId::new(id);
    let newest = reign.newest().await?;
    if newest.view.is_gone(&framework) {
        return Err(Refused::new(400, "No framework found with specified ID"));
    }
    done(reign.master().ask(Teardown { framework }).await, 400)
}

/// An agent will never come back, and its tasks with it.
pub(super) async fn mark_gone(reign: &Running, id: &str) -> Result<(), Refused> {
    let agent = AgentId::new(id);
    done(reign.master().ask(MarkAgentGone { agent }).await, 404)
}

/// How much the shares of roles weigh.
pub(super) async fn weights(reign: &Running, infos: Vec<v1::WeightInfo>) -> Result<(), Refused> {
    if infos.is_empty() {
        return Ok(());
    }
    let invalid = |words: String| Refused::new(400, words);
    let weight = |info: v1::WeightInfo| {
        let name = info.role.unwrap_or_default();
        let role: Role = name.parse().map_err(|error| {
            invalid(format!(
                "Failed to validate update weights request: invalid role '{name}': {error}"
            ))
        })?;
        if info.weight.is_nan() || info.weight <= 0.0 {
            return Err(invalid(format!(
                "Failed to validate update weights request: the weight of role '{role}' is {}, and must be above 0",
                info.weight
            )));
        }
        Ok((role, info.weight))
    };
    let weights = infos.into_iter().map(weight).collect::<Result<Vec<_>, _>>()?;
    done(reign.master().ask(SetWeights { weights }).await, 400)
}

/// Quota as the newer calls say it: all of it or nothing.
pub(super) async fn quotas(
    reign: &Running,
    configs: &[QuotaConfig],
    force: bool,
) -> Result<(), Refused> {
    if configs.is_empty() {
        return Ok(());
    }
    let quotas = configs.iter().map(quota).collect::<Result<Vec<_>, _>>()?;
    done(reign.master().ask(SetQuotas { quotas, force }).await, 400)
}

fn quota(config: &QuotaConfig) -> Result<(Role, Quota), Refused> {
    let invalid = |words: String| {
        Refused::new(400, format!("Invalid QuotaConfig for role '{}': {words}", config.role))
    };
    let role =
        config.role.parse().map_err(|error: protocol::ids::BadRole| invalid(error.to_string()))?;
    let amount = |(name, scalar): (&String, &v1::value::Scalar)| {
        let value = scalar.value;
        match value.is_finite() && value >= 0.0 {
            true => Ok((name.clone(), Milli::from_f64(value))),
            false => Err(invalid(format!("{name} is {value}, and must be a number from 0 on"))),
        }
    };
    let mut quota = Quota::default();
    for one in &config.guarantees {
        let (name, amount) = amount(one)?;
        quota.guarantees.add_one(&name, amount);
    }
    let mut limits = Limits::none();
    for one in &config.limits {
        let (name, amount) = amount(one)?;
        limits = limits.with(&name, amount);
    }
    quota.limits = limits;
    Ok((role, quota))
}

/// Quota as the older calls say it: so much is guaranteed, and no more may be had of it.
pub(super) async fn quota_request(reign: &Running, request: &QuotaRequest) -> Result<(), Refused> {
    let invalid =
        |words: String| Refused::new(400, format!("Failed to validate set quota request: {words}"));
    let name = request.role.as_deref().unwrap_or_default();
    let role: Role = match name {
        "" => return Err(invalid("QuotaRequest must specify a role".into())),
        name => name.parse().map_err(|error: protocol::ids::BadRole| invalid(error.to_string()))?,
    };
    let known = reign.newest().await?.view.has_quota(&role);
    if known {
        let words = format!("Cannot set quota for role '{role}' which already has quota");
        return Err(invalid(words));
    }
    let guarantees = guarantees(&request.guarantee).map_err(invalid)?;
    let limits =
        guarantees.iter().fold(Limits::none(), |all, (name, amount)| all.with(name, amount));
    let quotas = vec![(role, Quota { guarantees, limits })];
    let force = request.force.unwrap_or(false);
    let answer = reign.master().ask(SetQuotas { quotas: quotas.clone(), force }).await;
    // What only the cluster's size is against is a conflict, which force would overcome.
    if let Ok(SetAnswer::Refused(words)) = &answer
        && !force
        && fits_in_itself(&quotas)
    {
        return Err(Refused::new(
            409,
            format!("Heuristic capacity check for set quota request failed: {words}"),
        ));
    }
    done(answer, 400)
}

/// Amounts that could be somebody's: what else is wrong with them is the cluster's size or what is in use.
fn fits_in_itself(quotas: &[(Role, Quota)]) -> bool {
    quotas.iter().all(|(role, quota)| {
        let top = !role.as_str().contains('/') && *role != Role::everybody();
        top && quota.guarantees.iter().all(|(name, _)| !name.is_empty())
    })
}

fn guarantees(resources: &[v1::Resource]) -> Result<Quantities, String> {
    if resources.is_empty() {
        return Err("QuotaInfo with empty 'guarantee'".into());
    }
    let mut seen = BTreeMap::new();
    let mut sum = Quantities::none();
    for one in resources {
        if one.scalar.is_none() {
            return Err(format!("QuotaInfo must not contain non-scalar resource '{}'", one.name));
        }
        if seen.insert(one.name.as_str(), ()).is_some() {
            return Err(format!("QuotaInfo contains duplicate resource name '{}'", one.name));
        }
        let parsed = Resources::from_v1(std::slice::from_ref(one)).map_err(|e| e.to_string())?;
        if parsed.iter().any(|one| one.kind.terms().is_some()) {
            return Err(format!(
                "QuotaInfo must not contain what is reserved or revocable: '{}'",
                one.name
            ));
        }
        parsed
            .iter()
            .filter_map(|one| one.amount())
            .for_each(|amount| sum.add_one(&one.name, amount));
    }
    Ok(sum)
}

/// Ends what a role is guaranteed and may have at most.
pub(super) async fn remove_quota(reign: &Running, role: Role) -> Result<(), Refused> {
    if !reign.newest().await?.view.has_quota(&role) {
        let words = format!("Failed to remove quota: Role '{role}' has no quota set");
        return Err(Refused::new(400, words));
    }
    let quotas = vec![(role, Quota::default())];
    done(reign.master().ask(SetQuotas { quotas, force: true }).await, 400)
}
