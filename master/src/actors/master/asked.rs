//! What operators ask of a master: each question becomes an event, and its answer waits for the effect of the same number.

use actix::Handler;
use libactor::{Asked, Context, Message, Question, Received, Reply};
use protocol::operator::{KillTask, MarkAgentGone, SetAnswer, SetQuotas, SetWeights, Teardown};
use serde::{Deserialize, Serialize};

use super::MasterActor;
use crate::logic::authorize::Who;
use crate::logic::roles::Setting;
use crate::logic::{Ending, Event};
use crate::underway::Dealing;

/// What somebody wants changed who came over HTTP. It is asked within this process alone, so that the name is one that credentials
/// have proved.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangeFor {
    /// By which name; none, where the realm is not guarded.
    pub(crate) by: Option<String>,
    /// What.
    pub(crate) what: Wanted,
}

/// What operators change.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// Quota or weights.
    Set(Setting),
    /// A framework or an agent is to end.
    End(Ending),
}

/// Told after what a call means, within this process: when it comes, that is dealt with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DealtWith {
    #[serde(skip)]
    pub(crate) call: Option<Dealing>,
}

impl Message for DealtWith {
    const NAME: &'static str = "master.DealtWith";
}

impl Handler<Received<DealtWith>> for MasterActor {
    type Result = ();

    fn handle(&mut self, received: Received<DealtWith>, _: &mut Context<Self>) {
        drop(received.message.call);
    }
}

impl Message for ChangeFor {
    const NAME: &'static str = "master.ChangeFor";
}

impl Question for ChangeFor {
    type Answer = SetAnswer;
}

impl Handler<Asked<ChangeFor>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ChangeFor>, ctx: &mut Context<Self>) {
        let Asked { principal, question: ChangeFor { by, what }, reply, .. } = asked;
        let who = Who { by: principal, name: by };
        match what {
            Wanted::Set(setting) => self.on_setting(who, setting, reply, ctx),
            Wanted::End(what) => self.on_ending(who, what, reply, ctx),
        }
    }
}

impl Handler<Asked<KillTask>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<KillTask>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.asked_so_far += 1;
        let asked = self.asked_so_far;
        self.asked.insert(asked, reply);
        self.advance(Event::KillAsked { asked, principal, question }, ctx);
    }
}

impl MasterActor {
    fn on_setting(
        &mut self,
        who: Who,
        setting: Setting,
        reply: Reply<SetAnswer>,
        ctx: &mut Context<Self>,
    ) {
        self.asked_so_far += 1;
        let asked = self.asked_so_far;
        self.settings_asked.insert(asked, reply);
        self.advance(Event::SetAsked { asked, who, setting }, ctx);
    }
}

impl Handler<Asked<SetQuotas>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<SetQuotas>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_setting(principal.into(), Setting::Quotas(question), reply, ctx);
    }
}

impl Handler<Asked<SetWeights>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<SetWeights>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_setting(principal.into(), Setting::Weights(question), reply, ctx);
    }
}

impl MasterActor {
    fn on_ending(
        &mut self,
        who: Who,
        what: Ending,
        reply: Reply<SetAnswer>,
        ctx: &mut Context<Self>,
    ) {
        self.asked_so_far += 1;
        let asked = self.asked_so_far;
        self.settings_asked.insert(asked, reply);
        self.advance(Event::EndAsked { asked, who, what }, ctx);
    }
}

impl Handler<Asked<Teardown>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Teardown>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_ending(principal.into(), Ending::Framework(question.framework), reply, ctx);
    }
}

impl Handler<Asked<MarkAgentGone>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<MarkAgentGone>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_ending(principal.into(), Ending::Agent(question.agent), reply, ctx);
    }
}
