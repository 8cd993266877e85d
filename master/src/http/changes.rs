//! What operators change, whichever API they use: quota, weights, who is there.

use std::collections::BTreeMap;

use api::v1;
use api::v1::quota::{QuotaConfig, QuotaRequest};
use gateway::{Call, Refused};
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::operator::{Before, Refusal, RefusalKind, SetAnswer, SetQuotas, SetWeights};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::Quota;
use protocol::resources::{Milli, Resources};

use crate::actors::master::{ChangeFor, Wanted};
use crate::logic::Ending;
use crate::logic::roles::Setting;
use crate::start::Running;

/// Who changes something, and where.
#[derive(Clone, Copy)]
pub(super) struct Changer<'c> {
    reign: &'c Running,
    /// By which name, if credentials proved one.
    by: Option<&'c str>,
}

impl<'c> Changer<'c> {
    /// Whose call it is.
    pub(super) fn of(reign: &'c Running, call: &'c Call) -> Self {
        Self { reign, by: call.principal.as_deref() }
    }

    /// What the master made of it; of what it refuses, `status` says what is answered.
    async fn change(self, what: Wanted, status: impl Fn(&Refusal) -> u16) -> Result<(), Refused> {
        let by = self.by.map(str::to_owned);
        match self.reign.master().ask(ChangeFor { by, what }).await {
            Ok(SetAnswer::SetAt(_)) => Ok(()),
            Ok(SetAnswer::Refused(refusal)) => Err(Refused::new(status(&refusal), refusal.why)),
            Err(error) => Err(Refused::new(503, format!("the master does not answer: {error}"))),
        }
    }
}

/// What is answered unless a call has its own words for it.
fn status(refusal: &Refusal) -> u16 {
    match refusal.kind {
        RefusalKind::Unauthorized => 403,
        RefusalKind::Busy => 503,
        RefusalKind::Invalid | RefusalKind::NotFound | RefusalKind::Conflict => 400,
    }
}

/// The same, said after what failed.
fn after(what: &str, why: &Refused) -> Refused {
    Refused::new(why.status, format!("{what}: {}", why.words))
}

/// Ends a framework with all its tasks.
pub(super) async fn teardown(changer: Changer<'_>, id: &str) -> Result<(), Refused> {
    let framework = FrameworkId::new(id);
    let newest = changer.reign.newest().await?;
    if newest.view.is_gone(&framework) {
        return Err(Refused::new(400, "No framework found with specified ID"));
    }
    changer.change(Wanted::End(Ending::Framework(framework)), status).await
}

/// An agent will never come back, and its tasks with it.
pub(super) async fn mark_gone(changer: Changer<'_>, id: &str) -> Result<(), Refused> {
    let what = Wanted::End(Ending::Agent(AgentId::new(id)));
    let status = |refusal: &Refusal| match refusal.kind {
        RefusalKind::NotFound => 404,
        RefusalKind::Invalid
        | RefusalKind::Unauthorized
        | RefusalKind::Conflict
        | RefusalKind::Busy => status(refusal),
    };
    changer.change(what, status).await
}

/// How much the shares of roles weigh.
pub(super) async fn weights(
    changer: Changer<'_>,
    infos: Vec<v1::WeightInfo>,
) -> Result<(), Refused> {
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
    changer.change(Wanted::Set(Setting::Weights(SetWeights { weights })), status).await
}

/// Quota as the newer calls say it: all of it or nothing.
pub(super) async fn quotas(
    changer: Changer<'_>,
    configs: &[QuotaConfig],
    force: bool,
) -> Result<(), Refused> {
    if configs.is_empty() {
        return Ok(());
    }
    let quotas = configs.iter().map(quota).collect::<Result<Vec<_>, _>>()?;
    let question = SetQuotas { quotas, force, before: Before::Anything };
    changer.change(Wanted::Set(Setting::Quotas(question)), status).await
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
pub(super) async fn quota_request(
    changer: Changer<'_>,
    request: &QuotaRequest,
) -> Result<(), Refused> {
    let invalid =
        |words: String| Refused::new(400, format!("Failed to validate set quota request: {words}"));
    let name = request.role.as_deref().unwrap_or_default();
    let role: Role = match name {
        "" => return Err(invalid("QuotaRequest must specify a role".into())),
        name => name.parse().map_err(|error: protocol::ids::BadRole| invalid(error.to_string()))?,
    };
    let guarantees = guarantees(&request.guarantee).map_err(invalid)?;
    let limits =
        guarantees.iter().fold(Limits::none(), |all, (name, amount)| all.with(name, amount));
    let quotas = vec![(role, Quota { guarantees, limits })];
    let force = request.force.unwrap_or(false);
    let question = SetQuotas { quotas, force, before: Before::NoQuota };
    let status = |refusal: &Refusal| match refusal.kind {
        // What only the cluster's size is against is a conflict, which force would overcome.
        RefusalKind::Conflict => 409,
        RefusalKind::Invalid
        | RefusalKind::Unauthorized
        | RefusalKind::NotFound
        | RefusalKind::Busy => status(refusal),
    };
    let changed = changer.change(Wanted::Set(Setting::Quotas(question)), status).await;
    changed.map_err(|refused| match refused.status {
        409 => after("Heuristic capacity check for set quota request failed", &refused),
        400 => after("Failed to validate set quota request", &refused),
        _ => refused,
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
pub(super) async fn remove_quota(changer: Changer<'_>, role: Role) -> Result<(), Refused> {
    let quotas = vec![(role, Quota::default())];
    let question = SetQuotas { quotas, force: true, before: Before::Quota };
    let changed = changer.change(Wanted::Set(Setting::Quotas(question)), status).await;
    changed.map_err(|refused| match refused.status {
        400 => after("Failed to remove quota", &refused),
        _ => refused,
    })
}
