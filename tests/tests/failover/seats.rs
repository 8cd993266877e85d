//! Anybody with a client of ZooKeeper: sees the nodes of masters, and can remove them.

use std::time::Duration;

use zookeeper_client::{Acls, Client, CreateMode};

const SESSION: Duration = Duration::from_secs(20);

pub(crate) struct Stranger {
    client: Client,
}

impl Stranger {
    pub(crate) async fn new(hosts: &str) -> Self {
        let client = Client::connector().with_session_timeout(SESSION).connect(hosts).await;
        Self { client: client.unwrap() }
    }

    /// The nodes of masters below a path, with what they hold. The lowest one leads.
    pub(crate) async fn seats(&self, path: &str) -> Vec<(String, serde_json::Value)> {
        self.client.sync(path).await.unwrap_or_default();
        let mut names = self.client.list_children(path).await.unwrap_or_default();
        names.retain(|name| name.starts_with("json.info_"));
        names.sort();
        let mut seats = Vec::new();
        for name in names {
            let node = format!("{path}/{name}");
            // It may have gone in between.
            if let Ok((data, _)) = self.client.get_data(&node).await {
                seats.push((node, serde_json::from_slice(&data).unwrap()));
            }
        }
        seats
    }

    /// All nodes below a path.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        self.client.sync(path).await.unwrap();
        self.client.list_children(path).await.unwrap()
    }

    pub(crate) async fn deletes(&self, node: &str) {
        self.client.delete(node, None).await.unwrap();
    }

    /// Whoever leads, or waits to, is a candidate no longer.
    pub(crate) async fn deletes_seats(&self, path: &str) {
        for (node, _) in self.seats(path).await {
            self.deletes(&node).await;
        }
    }

    pub(crate) async fn writes(&self, node: &str, data: &[u8]) {
        self.client.set_data(node, data, None).await.unwrap();
    }

    pub(crate) async fn makes(&self, node: &str, data: &[u8]) {
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        self.client.create(node, data, &options).await.unwrap();
    }
}
