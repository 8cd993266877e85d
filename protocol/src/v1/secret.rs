//! Secrets in messages: what they say, and the same messages without, for whoever shows them.

use ::api::v1;
use ::api::v1::secret::Type;

/// Why a secret says nothing. Texts of Mesos, but the last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It is to be there, and is not.
    #[error("Secret of type VALUE must have the 'value' field set")]
    NoValue,
    /// It says two things.
    #[error("Secret of type VALUE must not have the 'reference' field set")]
    ValueAndReference,
    /// It is to be elsewhere, and it is not said where.
    #[error("Secret of type REFERENCE must have the 'reference' field set")]
    NoReference,
    /// It says two things.
    #[error("Secret '{0}' of type REFERENCE must not have the 'value' field set")]
    ReferenceAndValue(String),
    /// Nobody here asks a store of secrets.
    #[error(
        "Secret '{0}' is kept elsewhere, which comes with a later release; say it by its value"
    )]
    Elsewhere(String),
    /// What it is nobody says.
    #[error("Secret must be of type VALUE")]
    Unknown,
}

/// What it says.
pub(crate) fn value_of(secret: &v1::Secret) -> Result<&[u8], BadSecret> {
    match (secret.r#type(), &secret.value, &secret.reference) {
        (Type::Value, Some(value), None) => Ok(&value.data),
        (Type::Value, None, _) => Err(BadSecret::NoValue),
        (Type::Value, Some(_), Some(_)) => Err(BadSecret::ValueAndReference),
        (Type::Reference, _, None) => Err(BadSecret::NoReference),
        (Type::Reference, Some(_), Some(named)) => {
            Err(BadSecret::ReferenceAndValue(named.name.clone()))
        }
        (Type::Reference, None, Some(named)) => Err(BadSecret::Elsewhere(named.name.clone())),
        (Type::Unknown, _, _) => Err(BadSecret::Unknown),
    }
}

/// A secret by its value.
pub(crate) fn of_value(data: &[u8]) -> v1::Secret {
    let value = v1::secret::Value { data: data.to_vec() };
    v1::Secret { r#type: Some(Type::Value.into()), value: Some(value), ..Default::default() }
}

fn hide(secret: &mut v1::Secret) {
    secret.value = None;
}

fn hide_of_image(image: &mut v1::Image) {
    image.docker.iter_mut().filter_map(|docker| docker.config.as_mut()).for_each(hide);
}

/// The values of secret volumes, and what is said at registries.
pub(crate) fn hide_of_container(container: &mut v1::ContainerInfo) {
    for volume in &mut container.volumes {
        volume.image.iter_mut().for_each(hide_of_image);
        volume.source.iter_mut().filter_map(|source| source.secret.as_mut()).for_each(hide);
    }
    let image = container.mesos.iter_mut().filter_map(|mesos| mesos.image.as_mut());
    image.for_each(hide_of_image);
}

/// The values of secret variables.
pub(crate) fn hide_of_command(command: &mut v1::CommandInfo) {
    let variables = command.environment.iter_mut().flat_map(|all| &mut all.variables);
    variables.filter_map(|variable| variable.secret.as_mut()).for_each(hide);
}

/// Both.
pub(crate) fn hide_of_executor(executor: &mut v1::ExecutorInfo) {
    executor.container.iter_mut().for_each(hide_of_container);
    executor.command.iter_mut().for_each(hide_of_command);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_its_value_or_why_it_has_none() {
        let named = || Some(v1::secret::Reference { name: "store/a".into(), key: None });
        let here = of_value(b"open sesame");
        assert_eq!(value_of(&here), Ok(&b"open sesame"[..]));
        let elsewhere = v1::Secret {
            r#type: Some(Type::Reference.into()),
            reference: named(),
            ..Default::default()
        };
        for (secret, why) in [
            (v1::Secret { reference: named(), ..here.clone() }, BadSecret::ValueAndReference),
            (v1::Secret { value: None, ..here.clone() }, BadSecret::NoValue),
            (v1::Secret { r#type: None, ..here.clone() }, BadSecret::Unknown),
            (v1::Secret { reference: None, ..elsewhere.clone() }, BadSecret::NoReference),
            (
                v1::Secret { value: here.value.clone(), ..elsewhere.clone() },
                BadSecret::ReferenceAndValue("store/a".into()),
            ),
            (elsewhere, BadSecret::Elsewhere("store/a".into())),
        ] {
            assert_eq!(value_of(&secret), Err(why));
        }
    }

    #[test]
    fn what_is_shown_of_an_executor_and_of_a_task_is_without_secrets_and_what_it_is_told_with_them()
    {
        let source = v1::volume::Source {
            r#type: Some(v1::volume::source::Type::Secret.into()),
            secret: Some(of_value(b"open sesame")),
            ..Default::default()
        };
        let volume = v1::Volume {
            container_path: "key".into(),
            mode: v1::volume::Mode::Ro.into(),
            source: Some(source),
            ..Default::default()
        };
        let container = v1::ContainerInfo {
            r#type: v1::container_info::Type::Mesos.into(),
            volumes: vec![volume],
            ..Default::default()
        };
        let secret = v1::environment::Variable {
            name: "KEY".into(),
            r#type: Some(v1::environment::variable::Type::Secret.into()),
            secret: Some(of_value(b"open sesame")),
            ..Default::default()
        };
        let plain = v1::environment::Variable {
            name: "PLAIN".into(),
            value: Some("beside".into()),
            ..Default::default()
        };
        let variables = vec![secret.clone(), plain.clone()];
        let command = v1::CommandInfo {
            value: Some("true".into()),
            environment: Some(v1::Environment { variables: variables.clone() }),
            ..Default::default()
        };
        let executor = v1::ExecutorInfo {
            executor_id: v1::ExecutorId { value: "e".into() },
            command: Some(command),
            container: Some(container.clone()),
            ..Default::default()
        };
        let task = v1::TaskInfo {
            name: "t".into(),
            task_id: v1::TaskId { value: "t".into() },
            executor: Some(executor),
            container: Some(container),
            ..Default::default()
        };
        let spec = crate::task::TaskSpec::from_v1(&task).unwrap();
        let crate::task::Run::Executor { executor, .. } = &spec.run else { panic!("{spec:?}") };
        let known = ("KEY".to_owned(), "open sesame".to_owned());
        assert_eq!(executor.command.environment[0], known);
        let framework = crate::ids::FrameworkId::new("F");
        let told = executor.described_to_v1(&framework, Some(&spec.carried)).unwrap();
        assert_eq!(told.command.unwrap().environment.unwrap().variables, variables);
        let shown = executor.shown_to_v1(&framework, Some(&spec.carried)).unwrap();
        let said = format!("{shown:?}");
        // As bytes are shown.
        assert!(!said.contains("open sesame") && !said.contains("111, 112"), "{said}");
        assert!(said.contains("beside") && said.contains("KEY") && said.contains("key"), "{said}");
    }
}
