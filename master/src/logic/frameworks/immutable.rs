//! What a framework cannot change of itself once it is known: who its tasks run as and whether they outlive their agent's connection,
//! which is kept in silence, and whose it is, which is refused.

use protocol::carried::Carried;
use protocol::framework::FrameworkInfo;

/// In Mesos's words.
const PRINCIPAL: &str = "Changing framework's principal is not allowed.";

/// What a framework says of itself now, with what must stay as it was.
///
/// # Errors
///
/// In words, if it says that it is somebody else's.
pub(super) fn preserved(
    known: &FrameworkInfo,
    new: FrameworkInfo,
) -> Result<FrameworkInfo, String> {
    // Our own schedulers carry nothing, and say what they are each time.
    if known.carried.as_bytes().is_empty() || new.carried.as_bytes().is_empty() {
        return Ok(new);
    }
    let (Ok(before), Ok(mut now)) = (known.carried.decode(), new.carried.decode()) else {
        return Ok(new);
    };
    if before.principal != now.principal {
        return Err(PRINCIPAL.to_owned());
    }
    if known.user == new.user && before.checkpoint == now.checkpoint {
        return Ok(new);
    }
    now.user.clone_from(&known.user);
    now.checkpoint = before.checkpoint;
    Ok(FrameworkInfo { user: known.user.clone(), carried: Carried::new(&now), ..new })
}

#[cfg(test)]
mod tests {
    use api::v1;
    use protocol::ids::FrameworkId;

    use super::*;

    fn info(user: &str, principal: Option<&str>, checkpoint: Option<bool>) -> FrameworkInfo {
        let carried = v1::FrameworkInfo {
            user: user.to_owned(),
            name: "n".to_owned(),
            principal: principal.map(str::to_owned),
            checkpoint,
            ..Default::default()
        };
        FrameworkInfo {
            user: user.to_owned(),
            carried: Carried::new(&carried),
            ..FrameworkInfo::plain(FrameworkId::new("f"))
        }
    }

    #[test]
    fn fwk_08_user_and_checkpoint_stay_as_they_were_and_another_principal_is_refused() {
        let known = info("alice", Some("p"), Some(true));
        let new = info("bob", Some("p"), None);
        let kept = preserved(&known, new).unwrap();
        assert_eq!(kept.user, "alice");
        let carried = kept.carried.decode().unwrap();
        assert_eq!((carried.user.as_str(), carried.checkpoint), ("alice", Some(true)));
        for other in [None, Some("q")] {
            let error = preserved(&known, info("alice", other, Some(true))).unwrap_err();
            assert_eq!(error, "Changing framework's principal is not allowed.");
        }
    }
}
