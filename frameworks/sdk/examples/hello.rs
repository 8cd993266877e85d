//! A complete framework: says hello in three tasks, and ends when they have.
use sdk::prelude::*;

pub struct Hello {
    waiting: Vec<TaskSpec>,
    left: usize,
}

pub fn hello() -> Hello {
    let small = Resources::cpus_mem(0.1, 16.0);
    let hello = |n| task::shell(format!("hello.{n}"), "echo hello", &small);
    Hello { waiting: (0..3).map(hello).collect(), left: 3 }
}

impl Scheduler for Hello {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        calls.want(&Resources::cpus_mem(0.1, 16.0), self.waiting.len());
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            self.waiting.retain(|task| calls.launch(offer, task.clone()).is_err());
        }
        calls.want(&Resources::cpus_mem(0.1, 16.0), self.waiting.len());
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        eprintln!("{} is {:?}", status.task, status.state);
        self.left -= usize::from(status.state.is_end());
        if self.left == 0 {
            calls.tear_down();
        }
    }
}

fn main() -> Result<(), RunError> {
    run("127.0.0.1:5050", framework("hello"), hello(), Options::default())?;
    Ok(())
}
