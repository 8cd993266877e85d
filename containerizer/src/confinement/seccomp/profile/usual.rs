//! The profile that holds unless another is given. It names what programs need; of the rest, whatever reaches past a
//! container's namespaces takes the capability that the kernel asks for outside, or is refused to all: keys of the kernel,
//! rings of calls that no filter sees, the old ways into modules and other processes' pages.

use super::{Argument, Profile, Rule, When};

/// Files, folders, and waiting for them.
const FILES: &str = "access cachestat chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 epoll_create \
    epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 faccessat faccessat2 fadvise64 \
    fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr \
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init \
    inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl lchown lgetxattr link linkat listxattr \
    listxattrat llistxattr lremovexattr lseek lsetxattr lstat memfd_create memfd_secret mkdir mkdirat mknod mknodat newfstatat open openat openat2 \
    pipe pipe2 poll ppoll pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv \
    removexattr removexattrat rename renameat renameat2 rmdir select sendfile setxattr setxattrat signalfd signalfd4 splice stat statfs statmount \
    listmount statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev";

/// Memory and threads.
const MEMORY: &str = "arch_prctl brk futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list get_thread_area madvise map_shadow_stack \
    membarrier mincore mlock mlock2 mlockall mmap modify_ldt mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect \
    process_madvise process_mrelease remap_file_pages rseq set_robust_list set_thread_area set_tid_address";

/// Processes, who they are, and their signals.
const PROCESSES: &str = "capget capset execve execveat exit exit_group fork getegid geteuid getgid getgroups getpgid getpgrp getpid getppid \
    getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill landlock_add_rule \
    landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules lsm_set_self_attr pause pidfd_open pidfd_send_signal prctl prlimit64 ptrace \
    restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield \
    seccomp setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid \
    setuid sigaltstack tgkill tkill vfork wait4 waitid";

/// Sockets, queues and other ways to talk.
const TALK: &str = "accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive \
    mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop semtimedop sendmmsg \
    sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair";

/// The time, the machine, and chance.
const MACHINE: &str = "adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getcpu getitimer getrandom gettimeofday \
    nanosleep setitimer sysinfo time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create \
    timerfd_gettime timerfd_settime times uname";

/// What a capability opens, as the kernel has it outside of any filter.
const WITH: [(&str, &str); 12] = [
    (
        "SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree \
         perf_event_open pivot_root quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("SYS_BOOT", "reboot"),
    ("SYS_CHROOT", "chroot"),
    ("SYS_MODULE", "delete_module finit_module init_module"),
    (
        "SYS_NICE",
        "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node",
    ),
    ("SYS_PACCT", "acct"),
    ("SYS_PTRACE", "kcmp pidfd_getfd process_vm_readv process_vm_writev"),
    ("SYS_RAWIO", "ioperm iopl"),
    ("SYS_TIME", "clock_settime settimeofday stime"),
    ("SYS_TTY_CONFIG", "vhangup"),
    ("SYSLOG", "syslog"),
    ("DAC_READ_SEARCH", "name_to_handle_at open_by_handle_at"),
];

/// `CLONE_NEW…`: all kinds of namespaces that `clone` makes.
const NAMESPACES: u64 = 0x7E02_0000;
/// `ENOSYS`: programs then use the older call, whose flags a filter can see.
const NO_SUCH_CALL: u32 = 38;
/// Ways to lay out memory that older programs ask for; the last only asks.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// `AF_VSOCK` reaches the machine on which this one is a guest; it, `AF_ALG`, and what comes between, no program needs.
const FAMILIES_END: u64 = 38;
const FAMILY_OF_NEWER_ONES: u64 = 41;

fn allow(names: &str) -> Rule {
    Rule {
        names: names.split_whitespace().map(str::to_owned).collect(),
        action: "SCMP_ACT_ALLOW".into(),
        ..Rule::default()
    }
}

fn argument(index: u8, op: &str, value: u64, value_two: u64) -> Option<Vec<Argument>> {
    Some(vec![Argument { index, op: op.into(), value, value_two }])
}

fn capability(name: &str) -> Option<When> {
    Some(When { caps: vec![name.into()], ..When::default() })
}

pub(super) fn profile() -> Profile {
    let mut rules: Vec<_> = [FILES, MEMORY, PROCESSES, TALK, MACHINE].map(allow).into();
    rules.extend(
        WITH.iter().map(|(name, calls)| Rule { includes: capability(name), ..allow(calls) }),
    );
    rules.push(Rule {
        // Of the flags; no new namespaces without the right to make them.
        args: argument(0, "SCMP_CMP_MASKED_EQ", NAMESPACES, 0),
        excludes: capability("SYS_ADMIN"),
        ..allow("clone")
    });
    rules.push(Rule {
        action: "SCMP_ACT_ERRNO".into(),
        errno_ret: Some(NO_SUCH_CALL),
        excludes: capability("SYS_ADMIN"),
        ..allow("clone3")
    });
    rules.extend(
        PERSONALITIES.map(|value| Rule {
            args: argument(0, "SCMP_CMP_EQ", value, 0),
            ..allow("personality")
        }),
    );
    rules.push(Rule { args: argument(0, "SCMP_CMP_LT", FAMILIES_END, 0), ..allow("socket") });
    rules.push(Rule {
        args: argument(0, "SCMP_CMP_GE", FAMILY_OF_NEWER_ONES, 0),
        ..allow("socket")
    });
    Profile {
        default_action: "SCMP_ACT_ERRNO".into(),
        default_errno_ret: Some(super::NOT_PERMITTED),
        syscalls: rules,
    }
}
