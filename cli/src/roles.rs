//! The commands about roles: what is known of them, and what operators say of them.

use protocol::operator::RoleView;
use protocol::quota::Quota;

use crate::arguments::{
    ListArguments, QuotaArguments, QuotaCommand, WeightsArguments, WeightsCommand,
};
use crate::client::Client;
use crate::cluster::Cluster;
use crate::commands::CommandError;
use crate::doubt;
use crate::environment::Environment;
use crate::lists::roles::{self, QuotaJson, RoleJson, WeightJson};
use crate::output;

/// `airside roles`.
pub(crate) async fn roles(
    arguments: ListArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
    let roles = doubt::list(&client, client.roles()).await?;
    output::print(&if arguments.json {
        output::json(&roles.iter().map(RoleJson::from).collect::<Vec<_>>())
    } else {
        roles::roles_table(&roles, &client.frameworks().await?)
    });
    Ok(())
}

/// `airside quota`.
pub(crate) async fn quota(
    arguments: QuotaArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = Client::start(Cluster::find(arguments.cluster(), environment)).await?;
    let (role, quota, force) = match arguments.set {
        None => return list_quota(&client, arguments.list.json).await,
        Some(QuotaCommand::Set(set)) => {
            let guarantees = set.guarantee.unwrap_or_default();
            (set.role, Quota { guarantees, limits: set.limit.unwrap_or_default() }, set.force)
        }
        // Less is never too much.
        Some(QuotaCommand::Clear(clear)) => (clear.role, Quota::default(), false),
    };
    let Quota { guarantees, limits } = &quota;
    let words = match quota.is_default() {
        true => format!("Role {role} has no quota\n"),
        false => format!("Role {role} is guaranteed {guarantees}; its limit: {limits}\n"),
    };
    client.set_quota(role, quota, force).await?;
    output::print(&words);
    Ok(())
}

async fn list_quota(client: &Client, json: bool) -> Result<(), CommandError> {
    let mut roles: Vec<RoleView> = doubt::list(client, client.roles()).await?;
    roles.retain(|role| !role.quota.is_default());
    output::print(&if json {
        output::json(&roles.iter().map(QuotaJson::from).collect::<Vec<_>>())
    } else {
        roles::quota_table(&roles)
    });
    Ok(())
}

/// `airside weights`.
pub(crate) async fn weights(
    arguments: WeightsArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = Client::start(Cluster::find(arguments.cluster(), environment)).await?;
    if let Some(WeightsCommand::Set(set)) = arguments.set {
        client.set_weight(set.role.clone(), set.weight).await?;
        output::print(&format!("Role {} weighs {}\n", set.role, set.weight));
        return Ok(());
    }
    let roles = doubt::list(&client, client.roles()).await?;
    output::print(&if arguments.list.json {
        output::json(&roles.iter().map(WeightJson::from).collect::<Vec<_>>())
    } else {
        roles::weights_table(&roles)
    });
    Ok(())
}
