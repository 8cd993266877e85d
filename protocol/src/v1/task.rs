//! Tasks and executors as v1 messages and from them.

use std::sync::Arc;

use ::api::v1;

use crate::carried::{BadCarried, Carried};
use crate::container::{BadContainer, Wanted};
use crate::ids::{BadId, ExecutorId, TaskId, check_id};
use crate::resources::{BadResource, Resources};
use crate::task::{CommandSpec, ExecutorSpec, Run, TaskReport, TaskSpec};

use super::secret::{self, BadSecret, value_of};
use v1::environment::variable::Type as VariableType;

/// Why a resource of a task's is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResourceOfTask {
    /// In Mesos's words.
    #[error(transparent)]
    Rule(#[from] api::resources::BadResource),
    /// By a rule of our own.
    #[error(transparent)]
    Own(#[from] BadResource),
}

/// Why a task's description makes no sense. The words are those that Mesos's frameworks get.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadTask {
    /// Its id.
    #[error("Task has an invalid id: {0}")]
    Id(BadId),
    /// Its executor's id.
    #[error("Executor has an invalid id: {0}")]
    ExecutorId(BadId),
    /// It is unclear what runs it.
    #[error("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present")]
    Run,
    /// A span below zero.
    #[error("Task's '{0}' must be non-negative")]
    Negative(&'static str),
    /// Its resources.
    #[error("Task uses invalid resources: {0}")]
    Resources(BadResourceOfTask),
    /// Those of its executor.
    #[error("Executor uses invalid resources: {0}")]
    ExecutorResources(BadResourceOfTask),
    /// An executor of ours, for groups of tasks.
    #[error("'ExecutorInfo.type' must be 'CUSTOM'")]
    ExecutorType,
    /// What is to be started.
    #[error("'ExecutorInfo.command' must be set for 'CUSTOM' executor")]
    NoCommand,
    /// Something that nobody would do for it.
    #[error("{0} comes with a later release; leave that out")]
    Later(&'static str),
    /// A container that nobody makes.
    #[error("'ExecutorInfo.container' {0}")]
    Container(BadContainer),
    /// A variable that says nothing.
    #[error("Environment variable '{name}' {why}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: BadVariable,
    },
}

/// Why a variable of an environment cannot be had. Texts of Mesos, but the last two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVariable {
    /// It has no value.
    #[error("of type 'VALUE' must have a value set")]
    NoValue,
    /// It says two things.
    #[error("of type 'VALUE' must not have a secret set")]
    ValueAndSecret,
    /// It has no secret.
    #[error("of type 'SECRET' must have a secret set")]
    NoSecret,
    /// It says two things.
    #[error("of type 'SECRET' must not have a value set")]
    SecretAndValue,
    /// Its secret says nothing.
    #[error("specifies an invalid secret: {0}")]
    Secret(BadSecret),
    /// It would end too early.
    #[error("specifies a secret containing null bytes, which is not allowed in the environment")]
    Null,
    /// It is no text.
    #[error("specifies a secret that is no text in UTF-8; have it as a volume")]
    NoText,
    /// What it is nobody says.
    #[error("is of an unknown type; say VALUE or SECRET")]
    Unknown,
}

impl TaskSpec {
    /// Of a v1 message, which is carried.
    pub fn from_v1(info: &v1::TaskInfo) -> Result<Self, BadTask> {
        check_id(&info.task_id.value).map_err(BadTask::Id)?;
        let negative = |what| move || BadTask::Negative(what);
        let grace = info.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref());
        let kill_grace = grace
            .map(|grace| {
                super::duration_from_v1(grace).ok_or_else(negative("kill_policy.grace_period"))
            })
            .transpose()?;
        if let Some(most) = &info.max_completion_time {
            super::duration_from_v1(most).ok_or_else(negative("max_completion_time"))?;
        }
        let later = [
            (info.health_check.is_some(), "'TaskInfo.health_check'"),
            (info.check.is_some(), "'TaskInfo.check'"),
            (info.max_completion_time.is_some(), "'TaskInfo.max_completion_time'"),
        ];
        if let Some((_, what)) = later.into_iter().find(|(asks, _)| *asks) {
            return Err(BadTask::Later(what));
        }
        let data = info.data.clone().unwrap_or_default();
        let run = match (&info.command, &info.executor) {
            (Some(command), None) => Run::Command(CommandSpec::from_v1(command)?),
            (None, Some(executor)) => {
                Run::Executor { executor: ExecutorSpec::from_v1(executor)?, data }
            }
            (Some(_), Some(_)) | (None, None) => return Err(BadTask::Run),
        };
        Ok(Self {
            task: TaskId::new(&info.task_id.value),
            name: info.name.clone(),
            resources: resources(&info.resources).map_err(BadTask::Resources)?,
            run,
            kill_grace,
            carried: Carried::new(info),
        })
    }

    /// The same but for what its executor alone reads, for whoever only shows it.
    pub fn without_data(self: &Arc<Self>) -> Arc<Self> {
        let has_data = match &self.run {
            Run::Command(_) => false,
            Run::Executor { data, .. } => !data.is_empty(),
        };
        // What cannot be read is kept: nobody knows what it has.
        let came = self.carried.decode().ok().filter(|came| came.data.is_some());
        if !has_data && came.is_none() {
            return Arc::clone(self);
        }
        let mut stripped = Self::clone(self);
        if let Run::Executor { data, .. } = &mut stripped.run {
            *data = Vec::new();
        }
        if let Some(came) = came {
            stripped.carried = Carried::new(&v1::TaskInfo { data: None, ..came });
        }
        Arc::new(stripped)
    }

    /// As a v1 message: as it came, with what the cluster knows better.
    pub fn to_v1(&self, agent: &crate::ids::AgentId) -> Result<v1::TaskInfo, BadCarried> {
        let mut info = self.carried.decode()?;
        info.name.clone_from(&self.name);
        info.task_id = v1::TaskId { value: self.task.to_string() };
        info.agent_id = agent.to_v1();
        info.resources = self.resources.to_v1();
        match &self.run {
            Run::Command(command) => info.command = Some(command.to_v1()?),
            Run::Executor { executor, data } => {
                info.executor = Some(executor.to_v1_over(info.executor.unwrap_or_default())?);
                info.data = Some(data.clone()).filter(|data| !data.is_empty());
            }
        }
        let grace_period = self.kill_grace.map(super::duration_to_v1);
        if grace_period.is_some() {
            info.kill_policy = Some(v1::KillPolicy { grace_period });
        }
        Ok(info)
    }
}

/// Nobody has been allocated them yet: that is known from the offer.
fn resources(messages: &[v1::Resource]) -> Result<Resources, BadResourceOfTask> {
    messages.iter().try_for_each(api::resources::validate)?;
    let mut plain = messages.to_vec();
    plain.iter_mut().for_each(|one| one.allocation_info = None);
    Ok(Resources::from_v1(&plain)?)
}

/// What it is set to.
fn text_of(variable: &v1::environment::Variable) -> Result<&str, BadVariable> {
    match (variable.r#type(), &variable.value, &variable.secret) {
        (VariableType::Value, Some(value), None) => Ok(value),
        (VariableType::Value, None, _) => Err(BadVariable::NoValue),
        (VariableType::Value, Some(_), Some(_)) => Err(BadVariable::ValueAndSecret),
        (VariableType::Secret, _, None) => Err(BadVariable::NoSecret),
        (VariableType::Secret, Some(_), Some(_)) => Err(BadVariable::SecretAndValue),
        (VariableType::Secret, None, Some(secret)) => {
            let value = value_of(secret).map_err(BadVariable::Secret)?;
            match value.contains(&0) {
                true => Err(BadVariable::Null),
                false => std::str::from_utf8(value).map_err(|_| BadVariable::NoText),
            }
        }
        (VariableType::Unknown, _, _) => Err(BadVariable::Unknown),
    }
}

impl CommandSpec {
    /// Of a v1 message, which is carried.
    pub fn from_v1(info: &v1::CommandInfo) -> Result<Self, BadTask> {
        let variables = info.environment.iter().flat_map(|all| &all.variables);
        let environment = variables.map(|variable| match text_of(variable) {
            Ok(text) => Ok((variable.name.clone(), text.to_owned())),
            Err(why) => Err(BadTask::Variable { name: variable.name.clone(), why }),
        });
        Ok(Self {
            value: info.value.clone().unwrap_or_default(),
            shell: info.shell(),
            arguments: info.arguments.clone(),
            environment: environment.collect::<Result<_, _>>()?,
            user: info.user.clone(),
            carried: Carried::new(info),
        })
    }

    /// As a v1 message. What came as a secret goes as one.
    pub fn to_v1(&self) -> Result<v1::CommandInfo, BadCarried> {
        let mut info = self.carried.decode()?;
        let came = info.environment.take().unwrap_or_default().variables;
        let is_secret = |name: &str| {
            came.iter().any(|variable| variable.name == name && variable.secret.is_some())
        };
        info.value = Some(self.value.clone()).filter(|value| !value.is_empty());
        info.shell = Some(self.shell);
        info.arguments.clone_from(&self.arguments);
        info.user.clone_from(&self.user);
        let variable = |(name, value): &(String, String)| match is_secret(name) {
            true => v1::environment::Variable {
                name: name.clone(),
                r#type: Some(VariableType::Secret.into()),
                secret: Some(secret::of_value(value.as_bytes())),
                ..Default::default()
            },
            false => v1::environment::Variable {
                name: name.clone(),
                value: Some(value.clone()),
                ..Default::default()
            },
        };
        let variables: Vec<_> = self.environment.iter().map(variable).collect();
        info.environment = (!variables.is_empty()).then_some(v1::Environment { variables });
        Ok(info)
    }
}

impl ExecutorSpec {
    /// Of a v1 message.
    pub fn from_v1(info: &v1::ExecutorInfo) -> Result<Self, BadTask> {
        use v1::executor_info::Type;
        check_id(&info.executor_id.value).map_err(BadTask::ExecutorId)?;
        if info.r#type() == Type::Default {
            return Err(BadTask::ExecutorType);
        }
        Wanted::of(info.container.as_ref()).map_err(BadTask::Container)?;
        let command = info.command.as_ref().ok_or(BadTask::NoCommand)?;
        let grace = info.shutdown_grace_period.as_ref();
        let shutdown_grace = grace
            .map(|grace| {
                super::duration_from_v1(grace).ok_or(BadTask::Negative("shutdown_grace_period"))
            })
            .transpose()?;
        Ok(Self {
            executor: ExecutorId::new(&info.executor_id.value),
            name: info.name.clone().unwrap_or_default(),
            command: CommandSpec::from_v1(command)?,
            resources: resources(&info.resources).map_err(BadTask::ExecutorResources)?,
            shutdown_grace,
        })
    }

    /// As a v1 message, of which nothing is known but this.
    pub fn to_v1(&self) -> Result<v1::ExecutorInfo, BadCarried> {
        self.to_v1_over(v1::ExecutorInfo::default())
    }

    /// As a v1 message: as it came, with what the cluster knows better.
    pub(crate) fn to_v1_over(
        &self,
        came: v1::ExecutorInfo,
    ) -> Result<v1::ExecutorInfo, BadCarried> {
        Ok(v1::ExecutorInfo {
            r#type: Some(v1::executor_info::Type::Custom.into()),
            executor_id: self.executor.to_v1(),
            command: Some(self.command.to_v1()?),
            resources: self.resources.to_v1(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            shutdown_grace_period: self.shutdown_grace.map(super::duration_to_v1),
            ..came
        })
    }
}

impl TaskReport {
    /// As a v1 message, with its states so far. Of a command task no executor is named.
    pub fn to_v1(&self, statuses: Vec<v1::TaskStatus>) -> Result<v1::Task, BadCarried> {
        let info = self.spec.to_v1(&self.agent)?;
        let executor = match &self.spec.run {
            Run::Command(_) => None,
            Run::Executor { executor, .. } => Some(executor.executor.to_v1()),
        };
        let last = statuses.iter().rfind(|status| status.uuid.is_some());
        let (state, uuid) = (last.map(|last| last.state), last.and_then(|last| last.uuid.clone()));
        Ok(v1::Task {
            name: info.name,
            task_id: info.task_id,
            framework_id: self.framework.to_v1(),
            executor_id: executor,
            agent_id: info.agent_id,
            state: self.state.to_v1().into(),
            resources: self.spec.resources.allocated_to(&self.role).to_v1(),
            status_update_state: state,
            status_update_uuid: uuid,
            statuses,
            labels: info.labels,
            discovery: info.discovery,
            container: info.container.map(|mut container| {
                secret::hide_of_container(&mut container);
                container
            }),
            health_check: info.health_check,
            kill_policy: info.kill_policy,
            user: info.command.and_then(|command| command.user),
            limits: info.limits,
        })
    }
}
