//! What operators ask of a master: each question becomes an event, and its answer waits for the effect of the same number.

use actix::Handler;
use libactor::{Asked, Context, Principal, Reply};
use protocol::operator::{KillTask, MarkAgentGone, SetAnswer, SetQuotas, SetWeights, Teardown};

use super::MasterActor;
use crate::logic::roles::Setting;
use crate::logic::{Ending, Event};

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
        principal: Principal,
        setting: Setting,
        reply: Reply<SetAnswer>,
        ctx: &mut Context<Self>,
    ) {
        self.asked_so_far += 1;
        let asked = self.asked_so_far;
        self.settings_asked.insert(asked, reply);
        self.advance(Event::SetAsked { asked, principal, setting }, ctx);
    }
}

impl Handler<Asked<SetQuotas>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<SetQuotas>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_setting(principal, Setting::Quotas(question), reply, ctx);
    }
}

impl Handler<Asked<SetWeights>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<SetWeights>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_setting(principal, Setting::Weights(question), reply, ctx);
    }
}

impl MasterActor {
    fn on_ending(
        &mut self,
        principal: Principal,
        what: Ending,
        reply: Reply<SetAnswer>,
        ctx: &mut Context<Self>,
    ) {
        self.asked_so_far += 1;
        let asked = self.asked_so_far;
        self.settings_asked.insert(asked, reply);
        self.advance(Event::EndAsked { asked, principal, what }, ctx);
    }
}

impl Handler<Asked<Teardown>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Teardown>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_ending(principal, Ending::Framework(question.framework), reply, ctx);
    }
}

impl Handler<Asked<MarkAgentGone>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<MarkAgentGone>, ctx: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        self.on_ending(principal, Ending::Agent(question.agent), reply, ctx);
    }
}
