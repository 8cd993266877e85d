//! A master of version 1, which knows one role of a framework and fewer capabilities.

use super::*;

/// Wants something for its second role, before it has a master and once it has one.
struct TwoRoles(Simple);

impl TwoRoles {
    fn want(&self, calls: &mut Calls, count: usize) {
        for role in calls.roles().to_vec() {
            calls.want_for(&role, count, &Resources::cpus_mem(0.5, 1.0), Vec::new()).unwrap();
        }
    }
}

impl Scheduler for TwoRoles {
    fn started(&mut self, calls: &mut Calls, _: BTreeMap<String, Vec<u8>>) {
        self.want(calls, 1);
    }

    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        self.want(calls, 2);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        self.0.offers(calls, offers);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.0.updated(calls, status);
    }
}

#[tokio::test]
async fn a_scheduler_with_wishes_for_two_roles_runs_its_tasks_below_a_master_of_version_1() {
    let (node, address, mut hears) = master(None).await;
    let mut info = framework("test");
    info.roles = ["a", "b"].map(|role| role.parse().unwrap()).to_vec();
    info.capabilities.push(protocol::framework::Capability::RegionAware);
    let scheduler = TwoRoles(Simple::of(&["t"]));
    let running = run_scheduler(&address, info, scheduler, Options::default());
    let (outcome, _) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::TornDown);
    node.shutdown().await;
    let mut heard = vec![];
    while let Some(line) = hears.recv().await {
        heard.push(line);
    }
    let subscribed = heard.iter().filter(|line| line.starts_with("Subscribe")).count();
    assert_eq!(subscribed, 1, "once is enough: {heard:?}");
    for line in ["demand 2", "launch 1", "acknowledged t"] {
        assert!(heard.contains(&line.to_owned()), "{line} in {heard:?}");
    }
}
