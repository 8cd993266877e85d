//! The path itself, for those who use one for a while only: whether it is there, and its end.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc as blocking};

use zookeeper_client::{Client, Error};

use super::ZooKeeper;
use super::errors::words;
use super::requests::Context;
use crate::store::StoreError;

impl ZooKeeper {
    /// Whether there is something at the path. Blocks until a server says so.
    pub fn is_there(&self) -> Result<bool, StoreError> {
        let context = Arc::clone(&self.0.context);
        self.ask(move |client| async move { context.is_there(&client).await })
    }

    /// Removes the path and all below it, whoever made that. Its parents stay. Blocks until it is done.
    pub fn remove(&self) -> Result<(), StoreError> {
        let context = Arc::clone(&self.0.context);
        self.ask(move |client| async move { context.remove(&client).await })
    }

    /// Has the thread ask something in the first session that there is.
    fn ask<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send>(
        &self,
        question: impl FnOnce(Client) -> F + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut sessions = self.0.told.session.subscribe();
        let (sender, answer) = blocking::channel();
        self.0.runtime.spawn(async move {
            let session = sessions.wait_for(Option::is_some).await.ok().and_then(|s| s.clone());
            if let Some(session) = session {
                // Whoever asked waits.
                let _ = sender.send(question(session.client).await);
            }
        });
        let reason = "the connection was closed".to_owned();
        answer.recv().map_err(|_| StoreError::Lost { place: self.place(), reason })?
    }
}

impl Context {
    async fn is_there(&self, client: &Client) -> Result<bool, StoreError> {
        let path = &self.layout.path;
        let there = client.check_stat(path).await;
        Ok(there.map_err(|error| self.refused("look for", path, &error))?.is_some())
    }

    /// From the leaves on. What somebody makes meanwhile is removed as well, or refused in words.
    async fn remove(&self, client: &Client) -> Result<(), StoreError> {
        let mut found = vec![self.layout.path.clone()];
        let mut next = VecDeque::from(found.clone());
        while let Some(path) = next.pop_front() {
            let names = match client.list_children(&path).await {
                Ok(names) => names,
                Err(Error::NoNode) => continue,
                Err(error) => return Err(self.refused("list the nodes below", &path, &error)),
            };
            let below: Vec<_> = names.iter().map(|name| format!("{path}/{name}")).collect();
            found.extend(below.iter().cloned());
            next.extend(below);
        }
        for path in found.iter().rev() {
            match client.delete(path, None).await {
                Ok(()) | Err(Error::NoNode) => {}
                Err(error) => return Err(self.refused("delete", path, &error)),
            }
        }
        Ok(())
    }

    fn refused(&self, what: &str, path: &str, error: &Error) -> StoreError {
        StoreError::Refused { reason: words(&self.settings.url, what, path, error) }
    }
}
