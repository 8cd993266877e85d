//! How the command line and the environment are read.

use std::time::Duration;

use super::*;

fn read(line: &str, environment: &[(&'static str, &'static str)]) -> Result<Command, String> {
    let words = line.split_whitespace().map(OsString::from);
    let environment = Environment::of_pairs(environment);
    parse(words, &environment)
        .map(|arguments| arguments.command)
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

fn agent(line: &str, environment: &[(&'static str, &'static str)]) -> AgentArguments {
    match read(line, environment) {
        Ok(Command::Agent(agent)) => agent,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn dashes_and_underscores_are_the_same() {
    let line = "airside agent --work_dir=/a_b --master 10.0.0.1:5050 --advertise-ip 10.0.0.2 --advertise_port 80";
    let agent = agent(line, &[]);
    assert_eq!(agent.work_dir.to_str(), Some("/a_b"));
    assert_eq!(agent.listen.advertise_ip.map(|ip| ip.to_string()).as_deref(), Some("10.0.0.2"));
    assert_eq!(agent.listen.advertise_port, Some(80));
}

#[test]
fn agents_read_the_environment_of_mesos_and_ours_wins() {
    let environment = [
        ("MESOS_WORK_DIR", "/mesos"),
        ("MESOS_MASTER", "10.0.0.1:5050"),
        ("AIRSIDE_PORT", "7"),
        ("MESOS_PORT", "8"),
        ("MESOS_NATIVE_JAVA_LIBRARY", "/usr/lib/libmesos.so"),
    ];
    let read = agent("airside agent --work-dir /told", &environment);
    assert_eq!(read.work_dir.to_str(), Some("/told"));
    assert_eq!((read.master.as_str(), read.port), ("10.0.0.1:5050", 7));
}

#[test]
fn the_number_of_threads_has_the_name_and_the_bounds_that_it_has_in_mesos() {
    let threads =
        |line: &str, environment: &[(&'static str, &'static str)]| match read(line, environment) {
            Ok(Command::Master(master)) => {
                crate::serve::config(&master.listen, 0, None).expect("no file is read").threads
            }
            other => panic!("{line}: {other:?}"),
        };
    let (line, variable) = ("airside master --work_dir /w", "LIBPROCESS_NUM_WORKER_THREADS");
    assert_eq!(threads(line, &[]), 0, "the node counts the cores");
    assert_eq!(threads(line, &[(variable, "1024"), ("MESOS_NUM_WORKER_THREADS", "7")]), 1024);
    assert_eq!(threads(line, &[(variable, "8"), ("AIRSIDE_NUM_WORKER_THREADS", "9")]), 9);
    assert_eq!(threads(&format!("{line} --num_worker_threads=3"), &[(variable, "8")]), 3);
    for wrong in ["0", "1025", "x"] {
        let environment = [(variable, wrong)];
        let said = read(line, &environment).expect_err("out of bounds");
        assert!(said.contains("--num-worker-threads"), "{said}");
    }
}

#[test]
fn resources_and_attributes_are_in_mesos_form() {
    let line = "airside agent --work_dir=/w --master=h:1 --resources=cpus:2;mem:64 --attributes=rack:a;zone:1";
    let agent = agent(line, &[]);
    assert_eq!(agent.resources.as_deref(), Some("cpus:2;mem:64"));
    assert_eq!(agent.attributes.as_deref(), Some("rack:a;zone:1"));
    assert_eq!(agent.default_role.as_str(), "*");
}

#[test]
fn resources_may_be_reserved_and_in_json_or_in_a_file() {
    let with = |rest: &str| agent(&format!("airside agent --work_dir=/w --master=h:1 {rest}"), &[]);
    let reserved = with("--resources=cpus(eng/web):2 --default_role=ops");
    assert_eq!(reserved.resources.as_deref(), Some("cpus(eng/web):2"));
    assert_eq!(reserved.default_role.as_str(), "ops");
    for text in [
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2}}]",
        "file:///nowhere/yet",
    ] {
        assert_eq!(with(&format!("--resources={text}")).resources.as_deref(), Some(text));
    }
}

#[test]
fn what_nobody_knows_is_an_error() {
    for (line, words) in [
        (
            "airside master --work_dir=/w --zookeeper x",
            "error: unexpected argument '--zookeeper' found",
        ),
        (
            "airside registry export --zk zk://h1:2181 /backup",
            "error: invalid value 'zk://h1:2181' for '--zk <URL>': the ZooKeeper URL names no path of its own: write zk://host:port/path, for example zk://…/airside ('/' is not supported)",
        ),
        (
            "airside registry import /backup",
            "error: the following required arguments were not provided:",
        ),
        ("airside fly", "error: unrecognized subcommand 'fly'"),
        (
            "airside up --agents 0",
            "error: invalid value '0' for '--agents <AGENTS>': 0 is not in 1..=64",
        ),
        (
            "airside run --cpus 0 -- true",
            "error: invalid value '0' for '--cpus <CPUS>': '0' must be more than zero",
        ),
        (
            "airside run --mem -5MB -- true",
            "error: invalid value '-5MB' for '--mem <MEM>': '-5MB' must be more than zero",
        ),
        (
            "airside agent --work_dir=/w --master=h:1 --resources=cpus:-1",
            "error: invalid value 'cpus:-1' for '--resources <RESOURCES>': 'cpus' is -1: it must not be negative",
        ),
        (
            "airside agent --work_dir=/w --master=h:1 --resources=cpus(a//b):1",
            "error: invalid value 'cpus(a//b):1' for '--resources <RESOURCES>': 'cpus' cannot be reserved: role 'a//b' has an empty part: between slashes, before the first or behind the last",
        ),
        (
            "airside agent --work_dir=/w --master=h:1 --default_role=*/x",
            "error: invalid value '*/x' for '--default-role <ROLE>': role '*/x' has '*' as a part, which is everybody's role and stands alone",
        ),
        (
            "airside agent --work_dir=/w --master=here",
            "error: invalid value 'here' for '--master <HOST:PORT|ZK>': 'here' names no master: expected host:port, zk://host:port,host:port/path or file:///a/file",
        ),
    ] {
        assert_eq!(read(line, &[]).map(|_| ()), Err(words.to_owned()), "{line}");
    }
}

#[test]
fn the_command_of_a_task_is_not_read_as_flags() {
    let Ok(Command::Run(run)) = read("airside run --cpus 0.5 -- tool --with_mem=1 -x", &[]) else {
        panic!("not read as run")
    };
    assert_eq!(run.command, ["tool", "--with_mem=1", "-x"]);
}

#[test]
fn part_05_how_long_a_master_waits_is_set_in_the_words_of_mesos() {
    let master =
        |line: &str, environment: &[(&'static str, &'static str)]| match read(line, environment) {
            Ok(Command::Master(master)) => master.config().logic,
            other => panic!("{line}: {other:?}"),
        };
    let none = master("airside master --work_dir /w", &[]);
    assert_eq!(none, ::master::config::Config::default(), "the defaults are the same");
    let line = "airside master --work_dir /w --agent_removal_rate_limit=1/1mins --recovery_agent_removal_limit=10% --max_agent_ping_timeouts 3";
    let set = master(line, &[("MESOS_AGENT_PING_TIMEOUT", "1secs")]);
    let limit = set.agent_removal_rate_limit.map(|limit| (limit.count, limit.within.as_secs()));
    assert_eq!((limit, set.recovery_agent_removal_percent_max), (Some((1, 60)), 10));
    assert_eq!(set.agent_timeout().as_secs(), 3);
    let line = "airside master --work_dir /w --offer_constraints_re2_max_mem=8KB --offer-constraints-re2-max-program-size 50";
    let bounds = master(line, &[]).constraints;
    assert_eq!(bounds.offer_constraints_re2_max_mem, 8192);
    assert_eq!(bounds.offer_constraints_re2_max_program_size, 50);
}

#[test]
fn what_is_said_of_roles_is_read_or_refused_in_words() {
    let quota = read("airside quota set eng --guarantee cpus:2;mem:64 --limit cpus:4", &[]);
    let Ok(Command::Quota(QuotaArguments { set: Some(QuotaCommand::Set(set)), .. })) = quota else {
        panic!("{quota:?}")
    };
    assert_eq!((set.role.as_str(), set.force), ("eng", false));
    assert_eq!(set.guarantee.map(|all| all.to_string()).as_deref(), Some("cpus:2;mem:64"));
    assert!(matches!(
        read("airside quota --json", &[]),
        Ok(Command::Quota(QuotaArguments { set: None, .. }))
    ));
    let deep = vec!["a"; 300].join("/");
    for (line, words) in [
        ("airside quota set eng", "the following required arguments were not provided"),
        ("airside quota set eng --limit cpus:-1", "must not be negative"),
        ("airside quota set eng --guarantee cpus:0.0004", "less than a thousandth"),
        ("airside quota set a//b --limit cpus:1", "role 'a//b' has an empty part"),
        ("airside quota clear ..", "has '.' or '..' as a part"),
        ("airside quota clear -x", "begins with '-'"),
        ("airside weights set */x 1", "stands alone"),
        (&format!("airside weights set {deep} 1"), "300 levels is deeper than 128"),
        ("airside weights set eng 0", "a weight must be a number from 0.000001"),
        ("airside weights set eng -1", "a weight must be a number from 0.000001"),
        ("airside weights set eng inf", "a weight must be a number from 0.000001"),
        ("airside weights set eng x", "'x' is no weight"),
    ] {
        let said = read(line, &[]).expect_err(line);
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn a_master_shares_out_as_mesos_flags_say() {
    let config = |line: &str| match read(line, &[]) {
        Ok(Command::Master(master)) => Ok(master.config().logic),
        other => other.map(|other| panic!("{line}: {other:?}")),
    };
    let plain = config("airside master --work_dir=/w").expect("no flags");
    assert_eq!(plain.allocator, master::config::AllocatorConfig::default());
    assert_eq!(plain.offer_lease, Duration::from_secs(300));
    let line = "airside master --work_dir=/w --offer_timeout=5secs --allocation_interval=250ms \
        --min_allocatable_resources=cpus:1;mem:10|disk:5 --fair_sharing_excluded_resource_names=gpus,tapes \
        --filter_gpu_resources=false --role_sorter=random --framework_sorter=random";
    let set = config(line).expect("good flags");
    assert_eq!(set.offer_lease, Duration::from_secs(5));
    let allocator = set.allocator;
    assert_eq!(allocator.sweep_every, Duration::from_millis(250));
    let least: Vec<String> = allocator.allocatable.iter().map(ToString::to_string).collect();
    assert_eq!(least, ["cpus:1;mem:10", "disk:5"]);
    assert_eq!((allocator.excluded.len(), allocator.filter_gpu_resources), (2, false));
    assert_eq!(allocator.order, master::config::Order::Lots);
    let mixed =
        config("airside master --work_dir=/w --role_sorter=random").expect_err("one of two");
    assert!(mixed.contains("--role_sorter and --framework_sorter must be the same"), "{mixed}");
    for bad in ["--min_allocatable_resources=cpus:-1", "--min_allocatable_resources=cpus:1|much"] {
        assert!(read(&format!("airside master --work_dir=/w {bad}"), &[]).is_err(), "{bad}");
    }
}

#[test]
fn roles_with_quota_wait_after_a_fail_over_as_mesos_flags_say() {
    let config = |rest: &str| match read(&format!("airside master --work_dir=/w {rest}"), &[]) {
        Ok(Command::Master(master)) => master.config().logic,
        other => panic!("{rest}: {other:?}"),
    };
    let plain = config("");
    let default = master::config::Config::default();
    assert_eq!(plain.recovery_agents_percent, default.recovery_agents_percent);
    assert_eq!(plain.recovery_timeout, default.recovery_timeout);
    let set = config("--allocator_agent_recovery_factor=0.29 --allocator_recovery_timeout=5secs");
    assert_eq!((set.recovery_agents_percent, set.recovery_timeout.as_secs()), (29, 5));
    for bad in ["1.01", "-0.1", "NaN", "80%"] {
        let line = format!("airside master --work_dir=/w --allocator_agent_recovery_factor={bad}");
        assert!(read(&line, &[]).is_err(), "{bad}");
    }
}

#[test]
fn commands_run_tasks_under_everybodys_role_unless_they_are_told_another() {
    let roles = |words: &[&str]| {
        let line = ["airside"].iter().chain(words).map(OsString::from);
        let arguments = parse(line, &Environment::of_pairs(&[])).expect("a good line");
        let acts = if let Command::Run(run) = arguments.command {
            run.acts
        } else if let Command::Batch(batch) = arguments.command {
            batch.acts
        } else if let Command::Periodic(periodic) = arguments.command {
            periodic.acts
        } else {
            panic!("{arguments:?}")
        };
        let roles = acts.framework("test").roles;
        roles.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for line in
        [["run", "--", "true"], ["batch", "true", "false"], ["periodic", "a=1hr x", "b=1day y"]]
    {
        assert_eq!(roles(&line), ["*"]);
        assert_eq!(roles(&[&[line[0], "--role=eng/web"], &line[1..]].concat()), ["eng/web"]);
    }
    let said = read("airside run --role=a//b -- true", &[]).expect_err("no role");
    assert!(said.contains("has an empty part"), "{said}");
}

#[test]
fn a_master_is_given_weights_to_begin_with_as_in_mesos() {
    let weights = |line: &str, environment: &[_]| match read(line, environment) {
        Ok(Command::Master(master)) => master.config().logic.weights.len(),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(weights("airside master --work_dir=/w --weights=eng=2,ops=0.5", &[]), 2);
    assert_eq!(weights("airside master --work_dir=/w", &[("MESOS_WEIGHTS", "eng=2")]), 1);
    assert_eq!(weights("airside master --work_dir=/w", &[]), 0);
}

#[test]
fn fd_01_masters_and_agents_are_told_where_they_are_as_in_mesos() {
    let json = r#"{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"1"}}}"#;
    let master = |rest: &str, environment: &[(&'static str, &'static str)]| match read(
        &format!("airside master --work_dir=/w {rest}"),
        environment,
    ) {
        Ok(Command::Master(master)) => master.config().logic,
        other => panic!("{rest}: {other:?}"),
    };
    let set = master(&format!("--domain={json} --require_agent_domain"), &[]);
    let named = set.domain.map(|domain| domain.to_string());
    assert_eq!(named.as_deref(), Some("eu/1"));
    assert_eq!((set.allocator.region.as_deref(), set.require_agent_domain), (Some("eu"), true));
    let set = master("--require_agent_domain=false", &[("MESOS_DOMAIN", json)]);
    assert_eq!((set.domain.is_some(), set.require_agent_domain), (true, false));
    let line = format!("airside agent --work_dir=/w --master=h:1 --domain={json}");
    assert_eq!(agent(&line, &[]).domain.map(|domain| domain.zone).as_deref(), Some("1"));
    for command in ["master --work_dir=/w", "agent --work_dir=/w --master=h:1"] {
        let said = read(&format!("airside {command} --domain=eu"), &[]).expect_err("no JSON");
        assert!(said.contains("'--domain <JSON>': this is no fault domain in JSON"), "{said}");
    }
}

#[test]
fn lp_36_yes_and_no_are_written_as_in_mesos() {
    let gpus = |rest: &str, environment: &[(&'static str, &'static str)]| match read(
        &format!("airside master --work_dir=/w {rest}"),
        environment,
    ) {
        Ok(Command::Master(master)) => master.config().logic.allocator.filter_gpu_resources,
        other => panic!("{rest}: {other:?}"),
    };
    for (rest, is) in [
        ("", true),
        ("--filter_gpu_resources", true),
        ("--filter_gpu_resources=1", true),
        ("--filter_gpu_resources=false", false),
        ("--filter_gpu_resources=0", false),
        ("--filter-gpu-resources false", false),
        ("--no-filter_gpu_resources", false),
        ("--no_filter_gpu_resources --port=1", false),
    ] {
        assert_eq!(gpus(rest, &[]), is, "{rest}");
    }
    let no = [("MESOS_FILTER_GPU_RESOURCES", "0")];
    assert!(!gpus("", &no) && gpus("--filter_gpu_resources", &no), "the line wins");
    assert!(!gpus("--no-filter_gpu_resources", &[("MESOS_FILTER_GPU_RESOURCES", "1")]));
}

#[test]
fn lp_36_a_value_may_be_in_a_file_and_a_flag_may_have_an_older_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("value");
    std::fs::write(&file, "7secs\n").expect("a file");
    let of_file = format!("file://{}", file.display());
    let ping = |rest: &str| match read(&format!("airside master --work_dir=/w {rest}"), &[]) {
        Ok(Command::Master(master)) => Ok(master.config().logic.ping_every.as_secs()),
        other => other.map(|other| panic!("{other:?}")),
    };
    assert_eq!(ping(&format!("--agent_ping_timeout={of_file}")), Ok(7));
    assert_eq!(ping(&format!("--agent_ping_timeout {of_file}")), Ok(7));
    assert_eq!(ping("--slave_ping_timeout=3secs"), Ok(3));
    let missing = ping("--agent_ping_timeout=file:///nowhere").expect_err("no such file");
    assert!(missing.contains("--agent-ping-timeout: cannot read /nowhere: "), "{missing}");
    let endless = ping("--agent_ping_timeout=file:///dev/zero").expect_err("no end");
    assert!(endless.contains("is longer than 1048576 bytes"), "{endless}");
    let line = format!("airside agent --master=h:1 --work_dir=file://{}", folder.path().display());
    assert_eq!(agent(&line, &[]).work_dir, folder.path(), "of a path nothing is read");
    let environment = [("MESOS_SLAVE_PING_TIMEOUT", "2secs")];
    let Ok(Command::Master(master)) = read("airside master --work_dir=/w", &environment) else {
        panic!("a good line")
    };
    assert_eq!(master.config().logic.ping_every.as_secs(), 2);
}

#[test]
fn a_flag_is_in_one_table_only() {
    let known = Arguments::command();
    for name in ["master", "agent"] {
        let command = known.find_subcommand(name).expect("a daemon");
        let ours: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let mut seen = std::collections::BTreeSet::new();
        for unused in mesos::names(name) {
            assert!(!ours.contains(&unused.replace('_', "-").as_str()), "{name}: {unused}");
            assert!(seen.insert(unused), "{name}: {unused} twice");
        }
    }
}

#[test]
fn what_a_daemon_was_told_is_shown_without_secrets() {
    let line =
        "airside master --work_dir=/w --zk=zk://ops:5317@h:1/mesos --registry=replicated_log";
    let words = line.split_whitespace().map(OsString::from);
    let environment = Environment::of_pairs(&[("MESOS_CLUSTER", "c"), ("MESOS_QUORUM", "2")]);
    let told = parse(words, &environment).expect("a good line").told.flags;
    let shown = |name: &str| told.get(name).map(String::as_str);
    assert_eq!(shown("zk"), Some("zk://…@h:1/mesos"));
    assert_eq!(
        (shown("cluster"), shown("quorum"), shown("registry")),
        (Some("c"), Some("2"), Some("replicated_log"))
    );
    assert_eq!(
        (shown("port"), shown("hostname"), shown("end_with_stdin")),
        (Some("5050"), None, None)
    );
}

#[test]
fn agent_18_an_attribute_that_is_a_set_is_refused_in_words() {
    let line = "airside agent --work_dir=/w --master=h:1 --attributes=rack:a;os:{linux,debian}";
    let said = read(line, &[]).expect_err("a set");
    assert!(said.contains("attribute 'os' is a set, and attributes are texts"), "{said}");
}
