//! Flags of an agent of Mesos that this one has no use for.

use super::Fate::{Ignored, Only, Refused};
use super::{FALSE, Table};

const NO_ISOLATOR: &str = "it belongs to an isolator that --isolation does not name";
const NO_ISOLATION: &str = "nothing here does that yet";
const NO_APPC: &str = "images are Docker's and OCI's; there are none of Appc's";
const NO_VOLUME_DRIVERS: &str = "there are no volumes of Docker's drivers";
const NO_DOCKER: &str = "there is no containerizer for Docker";
const NO_MODULES: &str = "modules of Mesos are C++ libraries, which this program does not load";
const NO_SASL: &str = "an agent shows that it knows the cluster's secret, --cluster-secret-file";
const NO_PROVIDERS: &str = "there are no resource providers yet";
const NO_OVERSUBSCRIPTION: &str = "nothing is oversubscribed";
const NO_PORT_MAPPING: &str = "it belongs to Mesos's network isolation by ports, which is not here";
const NO_JWT: &str = "executors show that they know the secret that their agent lent them";

pub(super) const FLAGS: Table = &[
    // What tasks are isolated by.
    ("containerizers", Only(&["mesos"], NO_DOCKER)),
    ("launcher", Ignored("all processes of a task are found and ended without a launcher")),
    ("launcher_dir", Ignored("executors are this same program")),
    ("switch_user", Only(&["true", "1"], "tasks run as their users")),
    ("allowed_devices", Ignored(NO_ISOLATOR)),
    ("agent_subsystems", Refused("the agent itself stays in the group in which it was started")),
    ("slave_subsystems", Refused("the agent itself stays in the group in which it was started")),
    ("cgroups_destroy_timeout", Ignored(NO_ISOLATOR)),
    ("cgroups_hierarchy", Ignored(NO_ISOLATOR)),
    ("cgroups_limit_swap", Ignored(NO_ISOLATOR)),
    ("cgroups_cpu_enable_pids_and_tids_count", Ignored(NO_ISOLATOR)),
    ("cgroups_net_cls_primary_handle", Ignored(NO_ISOLATOR)),
    ("cgroups_net_cls_secondary_handles", Ignored(NO_ISOLATOR)),
    ("nvidia_gpu_devices", Ignored(NO_ISOLATOR)),
    ("perf_events", Ignored(NO_ISOLATOR)),
    ("perf_interval", Ignored(NO_ISOLATOR)),
    ("perf_duration", Ignored(NO_ISOLATOR)),
    ("revocable_cpu_low_priority", Ignored(NO_ISOLATOR)),
    ("xfs_project_range", Ignored(NO_ISOLATOR)),
    ("xfs_kill_containers", Ignored(NO_ISOLATOR)),
    ("xfs_quota_headroom", Ignored(NO_ISOLATOR)),
    ("network_cni_plugins_dir", Ignored(NO_ISOLATOR)),
    ("network_cni_config_dir", Ignored(NO_ISOLATOR)),
    ("network_cni_root_dir_persist", Ignored(NO_ISOLATOR)),
    ("network_cni_metrics", Ignored(NO_ISOLATOR)),
    ("container_ports_watch_interval", Ignored(NO_ISOLATOR)),
    ("check_agent_port_range_only", Ignored(NO_ISOLATOR)),
    ("container_ports_isolated_range", Ignored(NO_ISOLATOR)),
    ("enforce_container_ports", Only(FALSE, NO_ISOLATION)),
    ("disallow_sharing_agent_ipc_namespace", Only(FALSE, NO_ISOLATION)),
    ("disallow_sharing_agent_pid_namespace", Only(FALSE, NO_ISOLATION)),
    ("volume_gid_range", Refused(NO_ISOLATION)),
    ("systemd_enable_support", Ignored("executors stay where the agent started them")),
    ("systemd_runtime_directory", Ignored("executors stay where the agent started them")),
    ("runtime_dir", Ignored("all that must survive is below --work_dir")),
    // Images and what is fetched.
    ("appc_simple_discovery_uri_prefix", Ignored(NO_APPC)),
    ("appc_store_dir", Ignored(NO_APPC)),
    ("docker_volume_checkpoint_dir", Ignored(NO_VOLUME_DRIVERS)),
    ("docker_volume_chown", Ignored(NO_VOLUME_DRIVERS)),
    ("docker", Ignored(NO_DOCKER)),
    ("docker_remove_delay", Ignored(NO_DOCKER)),
    ("docker_kill_orphans", Ignored(NO_DOCKER)),
    ("docker_mesos_image", Ignored(NO_DOCKER)),
    ("docker_socket", Ignored(NO_DOCKER)),
    ("docker_stop_timeout", Ignored(NO_DOCKER)),
    ("default_container_dns", Ignored(NO_DOCKER)),
    ("default_container_info", Refused("a task says itself what its container is to be")),
    (
        "frameworks_home",
        Refused("files of tasks have absolute paths; name them so, or serve them by http://"),
    ),
    // Executors.
    (
        "executor_reregistration_retry_interval",
        Ignored("executors look for their agent by themselves"),
    ),
    ("http_command_executor", Ignored("the executor of commands is this same program")),
    ("http_heartbeat_interval", Ignored("there are no streams of containers yet")),
    ("gc_non_executor_container_sandboxes", Only(FALSE, "there are no containers but executors'")),
    ("jwt_secret_key", Refused(NO_JWT)),
    ("executor_secret_key", Refused(NO_JWT)),
    ("authenticate_http_executors", Only(FALSE, NO_JWT)),
    // The way to the master.
    (
        "registration_backoff_factor",
        Ignored("the pauses between registrations have bounds of their own"),
    ),
    ("authentication_backoff_factor", Ignored(NO_SASL)),
    ("authentication_timeout_min", Ignored(NO_SASL)),
    ("authentication_timeout_max", Ignored(NO_SASL)),
    ("authenticatee", Only(&["crammd5"], NO_MODULES)),
    ("authorizer", Only(&["local"], NO_MODULES)),
    ("credential", Ignored(NO_SASL)),
    ("master_detector", Refused(NO_MODULES)),
    ("zk_session_timeout", Ignored("an agent only reads who leads")),
    ("ip6", Refused("containers have no networks of their own")),
    ("ip6_discovery_command", Refused("containers have no networks of their own")),
    ("agent_features", Refused("agents can what they can")),
    // What else could be offered.
    ("resource_provider_config_dir", Refused(NO_PROVIDERS)),
    ("csi_plugin_config_dir", Refused(NO_PROVIDERS)),
    ("disk_profile_adaptor", Refused(NO_PROVIDERS)),
    ("secret_resolver", Refused(NO_MODULES)),
    ("resource_estimator", Refused(NO_OVERSUBSCRIPTION)),
    ("qos_controller", Refused(NO_OVERSUBSCRIPTION)),
    ("qos_correction_interval_min", Ignored(NO_OVERSUBSCRIPTION)),
    ("oversubscribed_resources_interval", Ignored(NO_OVERSUBSCRIPTION)),
    ("ephemeral_ports_per_container", Refused(NO_PORT_MAPPING)),
    ("eth0_name", Refused(NO_PORT_MAPPING)),
    ("lo_name", Refused(NO_PORT_MAPPING)),
    ("egress_rate_limit_per_container", Refused(NO_PORT_MAPPING)),
    ("egress_rate_per_cpu", Refused(NO_PORT_MAPPING)),
    ("minimum_egress_rate_limit", Refused(NO_PORT_MAPPING)),
    ("maximum_egress_rate_limit", Refused(NO_PORT_MAPPING)),
    ("egress_ceil_limit", Refused(NO_PORT_MAPPING)),
    ("egress_burst", Refused(NO_PORT_MAPPING)),
    ("egress_unique_flow_per_container", Refused(NO_PORT_MAPPING)),
    ("egress_flow_classifier_parent", Refused(NO_PORT_MAPPING)),
    ("ingress_rate_limit_per_container", Refused(NO_PORT_MAPPING)),
    ("ingress_rate_per_cpu", Refused(NO_PORT_MAPPING)),
    ("minimum_ingress_rate_limit", Refused(NO_PORT_MAPPING)),
    ("maximum_ingress_rate_limit", Refused(NO_PORT_MAPPING)),
    ("ingress_ceil_limit", Refused(NO_PORT_MAPPING)),
    ("ingress_burst", Refused(NO_PORT_MAPPING)),
    ("ingress_isolate_existing_containers", Refused(NO_PORT_MAPPING)),
    ("network_link_speed", Refused(NO_PORT_MAPPING)),
    ("network_enable_socket_statistics_summary", Refused(NO_PORT_MAPPING)),
    ("network_enable_socket_statistics_details", Refused(NO_PORT_MAPPING)),
    ("network_enable_snmp_statistics", Refused(NO_PORT_MAPPING)),
    ("network_enable_rate_statistics", Refused(NO_PORT_MAPPING)),
    ("network_rate_statistics_window", Refused(NO_PORT_MAPPING)),
    ("network_rate_statistics_interval", Refused(NO_PORT_MAPPING)),
];
