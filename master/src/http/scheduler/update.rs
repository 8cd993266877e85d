//! `UPDATE_FRAMEWORK`: a subscribed framework says anew what it is, and is answered once that is written.

use api::v1;
use api::v1::scheduler::call::UpdateFramework;
use gateway::Refused;
use libactor::{Message, Question};
use protocol::framework::{Capability, FrameworkInfo};
use protocol::v1::wishes_from_v1;
use protocol::wishes::RoleWishes;
use serde::{Deserialize, Serialize};

/// What the framework is from now on, as protobuf: a call that was checked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Update(pub(super) Vec<u8>);

/// Whether it is so now, or why it is not, with the status of the answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Updated(pub(super) Result<(), (u16, String)>);

impl Message for Update {
    const NAME: &'static str = "master.Update";
}

impl Message for Updated {
    const NAME: &'static str = "master.Updated";
}

impl Question for Update {
    type Answer = Updated;
}

impl From<Updated> for Result<(), Refused> {
    fn from(updated: Updated) -> Self {
        updated.0.map_err(|(status, words)| Refused::new(status, words))
    }
}

/// What the framework is and wishes from now on.
///
/// # Errors
///
/// In Mesos's words.
pub(super) fn described(
    known: &FrameworkInfo,
    update: &UpdateFramework,
) -> Result<(FrameworkInfo, Vec<RoleWishes>), String> {
    let said = &update.framework_info;
    let mut info = FrameworkInfo::from_v1(said)
        .map_err(|bad| format!("Supplied FrameworkInfo is not valid: {bad}"))?;
    info.capabilities.push(Capability::NamesItself);
    let before = known.carried.decode().unwrap_or_default();
    stays(&before, known, said)
        .map_err(|bad| format!("FrameworkInfo update is not valid: {bad}"))?;
    let constraints = update.offer_constraints.as_ref();
    let wishes = wishes_from_v1(&info, said, &update.suppressed_roles, constraints)
        .map_err(|bad| format!("'UpdateFramework' call is not valid: {bad}"))?;
    Ok((info, wishes))
}

fn stays(
    before: &v1::FrameworkInfo,
    known: &FrameworkInfo,
    now: &v1::FrameworkInfo,
) -> Result<(), String> {
    if before.principal != now.principal {
        return Err("Changing framework's principal is not allowed.".to_owned());
    }
    let unsupported = |field| Err(format!("Updating 'FrameworkInfo.{field}' is unsupported"));
    if known.user != now.user {
        return unsupported("user");
    }
    if before.checkpoint() != now.checkpoint() {
        return unsupported("checkpoint");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::carried::Carried;
    use protocol::ids::FrameworkId;

    use super::*;

    fn said(user: &str, role: &str) -> v1::FrameworkInfo {
        let json = format!(
            r#"{{"user":"{user}","name":"n","id":{{"value":"f"}},"roles":["{role}"],"principal":"p","checkpoint":true,"capabilities":[{{"type":"MULTI_ROLE"}}]}}"#
        );
        api::json::read(json.as_bytes()).unwrap()
    }

    fn known() -> FrameworkInfo {
        FrameworkInfo {
            user: "alice".into(),
            carried: Carried::new(&said("alice", "a")),
            ..FrameworkInfo::plain(FrameworkId::new("f"))
        }
    }

    fn update(info: v1::FrameworkInfo) -> UpdateFramework {
        UpdateFramework { framework_info: info, ..Default::default() }
    }

    #[test]
    fn fwk_09_roles_may_change_and_who_it_is_may_not() {
        let (info, wishes) = described(&known(), &update(said("alice", "b"))).unwrap();
        assert_eq!(info.roles, ["b".parse().unwrap()]);
        assert_eq!(wishes.len(), 1);
        let principal = v1::FrameworkInfo { principal: None, ..said("alice", "a") };
        let checkpoint = v1::FrameworkInfo { checkpoint: None, ..said("alice", "a") };
        let suppressed =
            UpdateFramework { suppressed_roles: vec!["z".into()], ..update(said("alice", "a")) };
        for (update, words) in [
            (
                update(said("bob", "a")),
                "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported",
            ),
            (
                update(checkpoint),
                "FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is unsupported",
            ),
            (
                update(principal),
                "FrameworkInfo update is not valid: Changing framework's principal is not allowed.",
            ),
            (
                suppressed,
                "'UpdateFramework' call is not valid: Suppressed roles name role 'z', which is none of the framework's roles",
            ),
        ] {
            assert_eq!(described(&known(), &update).unwrap_err(), words);
        }
        let bad = described(&known(), &update(said("alice", "a//b"))).unwrap_err();
        assert!(bad.starts_with("Supplied FrameworkInfo is not valid: "), "{bad}");
    }
}
