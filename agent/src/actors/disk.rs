//! Looks at the sandboxes of living containers, one look after the other, and ends those that take more than they may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use libactor::Context;
use protocol::ids::ContainerId;

use super::agent::AgentActor;
use crate::disk::{DiskSettings, DiskUse, taken};
use crate::logic::Event;

impl AgentActor {
    /// A look takes as long as it takes: the pause begins behind it.
    pub(super) fn watch_disk(&mut self, ctx: &mut Context<Self>) {
        let Some((settings, seen)) = self.disk.clone() else { return };
        ctx.after(settings.watch_every, move |actor, ctx| actor.look_at_disk(settings, seen, ctx));
    }

    fn look_at_disk(&mut self, settings: DiskSettings, seen: DiskUse, ctx: &mut Context<Self>) {
        let living = self.agent.executors();
        let sandboxes: Vec<(ContainerId, PathBuf)> = living
            .map(|(container, framework, spec)| {
                (container.clone(), self.sandboxes.path(framework, &spec.executor, container))
            })
            .collect();
        // On a thread that may wait for the disk.
        let looked = tokio::task::spawn_blocking(move || -> BTreeMap<_, _> {
            sandboxes.into_iter().map(|(container, path)| (container, taken(&path))).collect()
        });
        ctx.run(looked, move |actor, looked, ctx| {
            if let Ok(looked) = looked {
                seen.is_now(looked.clone());
                let over = looked.into_iter().filter_map(|(container, bytes)| {
                    let limitation = actor.agent.exceeds_disk(&container, bytes)?;
                    Some((container, limitation))
                });
                let over: Vec<_> = over.filter(|_| settings.enforce).collect();
                for (container, limitation) in over {
                    actor.advance(Event::ContainerLimited { container, limitation }, ctx);
                }
            }
            actor.watch_disk(ctx);
        });
    }
}
