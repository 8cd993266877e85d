//! Flags of a master of Mesos that this one has no use for.

use super::Fate::{Ignored, Only, Refused};
use super::{FALSE, Table};

const NO_LOG: &str = "the registry is in ZooKeeper, or in one file below the work directory; there is no replicated log";
const NO_MODULES: &str = "modules of Mesos are C++ libraries, which this program does not load";
const NO_SASL: &str = "agents and frameworks that are actors show that they know the cluster's secret, --cluster-secret-file";

pub(super) const FLAGS: Table = &[
    (
        "registry",
        Only(
            &["replicated_log", "log_storage"],
            "the registry is always kept: in ZooKeeper, or in a file",
        ),
    ),
    ("quorum", Ignored(NO_LOG)),
    ("log_auto_initialize", Ignored(NO_LOG)),
    ("registry_strict", Only(FALSE, "Mesos refuses anything else, too")),
    (
        "registry_fetch_timeout",
        Ignored("a master that cannot read its registry stands for election again"),
    ),
    ("registry_store_timeout", Ignored("a master that cannot write its registry steps down")),
    ("hostname_lookup", Ignored("a machine that is given no --hostname goes by its address")),
    ("webui_dir", Ignored("there are no web pages to serve")),
    ("whitelist", Refused("all agents that are let in are offered; there is no list of machines")),
    ("roles", Refused("any role may be used; `airside quota set` bounds what it gets")),
    ("root_submissions", Only(&["true", "1"], "frameworks of all users are let in")),
    ("authenticate_frameworks", Only(FALSE, NO_SASL)),
    ("authenticate", Only(FALSE, NO_SASL)),
    ("authenticate_agents", Only(FALSE, NO_SASL)),
    ("authenticate_slaves", Only(FALSE, NO_SASL)),
    ("authentication_v0_timeout", Ignored(NO_SASL)),
    ("modules", Refused(NO_MODULES)),
    ("authenticators", Only(&["crammd5"], NO_MODULES)),
    ("authorizers", Only(&["local"], NO_MODULES)),
    (
        "http_framework_authenticators",
        Only(&["basic"], "callers show who they are by basic authentication alone"),
    ),
    ("rate_limits", Refused("frameworks are not slowed down; what waits for each has a bound")),
    (
        "max_executors_per_agent",
        Refused("it belongs to Mesos's network isolation by ports, which is not here"),
    ),
    (
        "max_executors_per_slave",
        Refused("it belongs to Mesos's network isolation by ports, which is not here"),
    ),
    ("allocator", Only(&["hierarchical", "HierarchicalDRF"], NO_MODULES)),
    ("master_contender", Refused(NO_MODULES)),
    ("master_detector", Refused(NO_MODULES)),
    (
        "max_unreachable_tasks_per_framework",
        Ignored("all are kept until their agents are forgotten"),
    ),
];
