//! What is said of a task's container with its news: where it can be reached, and as which process its executor runs. Service
//! discovery reads it.

use api::v1;
use api::v1::network_info::{IpAddress, Protocol};
use protocol::carried::Carried;
use protocol::ids::ContainerId;
use protocol::task::TaskStatus;

/// Adds what the executor does not say itself. `listens` is where the agent does: containers have its network.
pub(super) fn described(
    status: TaskStatus,
    container: &ContainerId,
    listens: &str,
    process: Option<u32>,
) -> TaskStatus {
    // What is no status stays what it is.
    let Ok(mut carried) = status.carried.decode() else { return status };
    let mut said = carried.container_status.unwrap_or_default();
    said.container_id = Some(container.to_v1());
    said.executor_pid = said.executor_pid.or(process);
    if said.network_infos.is_empty() {
        said.network_infos = network(listens).into_iter().collect();
    }
    carried.container_status = Some(said);
    TaskStatus { carried: Carried::new(&carried), ..status }
}

/// The network of containers, which is that of an agent that listens there. A name of a machine is no address.
pub(crate) fn network(listens: &str) -> Option<v1::NetworkInfo> {
    let (host, _) = listens.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let parts: Vec<_> = host.split('.').map(str::parse::<u8>).collect();
    let protocol = if host.contains(':') {
        Protocol::IPv6
    } else if parts.len() == 4 && parts.iter().all(Result::is_ok) {
        Protocol::IPv4
    } else {
        return None;
    };
    let address = IpAddress { protocol: Some(protocol.into()), ip_address: Some(host.to_owned()) };
    Some(v1::NetworkInfo { ip_addresses: vec![address], ..Default::default() })
}

#[cfg(test)]
mod tests {
    use protocol::ids::{FrameworkId, TaskId};
    use protocol::task::{Source, TaskState};

    use super::*;

    fn said(carried: &v1::TaskStatus, listens: &str) -> v1::ContainerStatus {
        let plain = TaskStatus::plain(
            FrameworkId::new("f"),
            TaskId::new("t"),
            TaskState::Running,
            Source::Executor,
        );
        let status = TaskStatus { carried: Carried::new(carried), ..plain };
        let status = described(status, &ContainerId::new("c"), listens, Some(7));
        status.to_v1().unwrap().container_status.unwrap()
    }

    #[test]
    fn cont_12_a_tasks_news_say_where_its_container_is_and_as_which_process_it_runs() {
        for (listens, ip, protocol) in
            [("10.0.0.7:5051", "10.0.0.7", Protocol::IPv4), ("[::1]:5051", "::1", Protocol::IPv6)]
        {
            let said = said(&v1::TaskStatus::default(), listens);
            assert_eq!(said.container_id.unwrap().value, "c");
            assert_eq!(said.executor_pid, Some(7));
            let address = &said.network_infos[0].ip_addresses[0];
            assert_eq!(address.ip_address.as_deref(), Some(ip));
            assert_eq!(address.protocol(), protocol);
        }
    }

    #[test]
    fn cont_12_what_an_executor_says_of_its_network_stays() {
        let own = v1::NetworkInfo { name: Some("own".into()), ..Default::default() };
        let status = v1::ContainerStatus { network_infos: vec![own.clone()], ..Default::default() };
        let carried = v1::TaskStatus { container_status: Some(status), ..Default::default() };
        assert_eq!(said(&carried, "10.0.0.7:5051").network_infos, [own]);
    }
}
