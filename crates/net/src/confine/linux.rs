//! How Linux is asked.

use std::collections::BTreeMap;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::{Confined, Confinement, Measure};

/// The newest version whose rights are known here; an older kernel holds what it knows of them.
const LANDLOCK: ABI = ABI::V7;

/// The order is the kernel's: each step needs what a later one takes away.
pub(super) fn apply(confinement: &Confinement) -> Confined {
    let mut confined = Confined::default();
    confined.note(
        Measure::NoNewPrivileges,
        set_no_new_privs(true).map_err(text),
    );
    confined.note(Measure::LockedMemory, lock_memory());
    confined.note(Measure::Files, limit_files(confinement));
    confined.note(Measure::Capabilities, drop_capabilities());
    confined.note(Measure::SystemCalls, refuse_system_calls());
    confined
}

fn text(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Locks what is there and what will be. Only where there is no limit: under one, the allocation that
/// reaches it would fail at some later moment.
fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_some() && limit.maximum.is_none() {
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        setrlimit(Resource::Memlock, unlimited).map_err(text)?;
    }
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    let privileged =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if !unlimited && !privileged {
        return Err("RLIMIT_MEMLOCK is not unlimited".to_owned());
    }
    // Only once they are touched: stacks and arenas reserve much more than they use.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(text)
}

fn limit_files(confinement: &Confinement) -> Result<(), String> {
    let status = landlock(confinement).map_err(text)?;
    match status {
        RulesetStatus::FullyEnforced => Ok(()),
        // Files are limited; signals, devices or truncation are newer than this kernel.
        RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
    }
}

fn landlock(confinement: &Confinement) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(LANDLOCK);
    let ruleset = Ruleset::default()
        // Version 1 refuses every move between two folders, and sockets are made by one.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?;
    let write = all & !AccessFs::Execute;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = allow(ruleset, Path::new("/dev/null"), write)?;
    for path in confinement.writes.iter().chain(&confinement.sockets) {
        ruleset = allow(ruleset, path, write)?;
    }
    for path in confinement.all_reads() {
        ruleset = allow(ruleset, &path, read)?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

/// What is not there is not allowed.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(ruleset);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(LANDLOCK)
    };
    ruleset.add_rule(PathBeneath::new(opened, access))
}

/// Later allocations are locked by the first of these, ports below 1024 opened by the second; the
/// third reaches no further than the files that are allowed.
fn drop_capabilities() -> Result<(), String> {
    let kept =
        CapabilitySet::IPC_LOCK | CapabilitySet::NET_BIND_SERVICE | CapabilitySet::DAC_OVERRIDE;
    let mut sets = capabilities(None).map_err(text)?;
    sets.effective &= kept;
    sets.permitted &= kept;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets).map_err(text)
}

fn refuse_system_calls() -> Result<(), String> {
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(text)?;
    let rules: BTreeMap<_, _> = refused().map(|number| (number, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(text)?;
    let program: BpfProgram = filter.try_into().map_err(text)?;
    seccompiler::apply_filter(&program).map_err(text)
}

/// What no service does. A list of what each does would be tighter, and would break with every
/// allocator, C library and runtime that does the same another way.
const REFUSED: &[libc::c_long] = &[
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Another view of the machine.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    // Parts of the kernel that broke often, and that no service needs.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    libc::SYS_fanotify_init,
    // Would do for the caller what is refused here.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

#[cfg(not(target_arch = "x86_64"))]
fn refused() -> impl Iterator<Item = i64> {
    REFUSED.iter().copied().map(i64::from)
}

/// The same calls have second numbers, of a form of 32 bits that some kernels still take.
#[cfg(target_arch = "x86_64")]
fn refused() -> impl Iterator<Item = i64> {
    const X32: i64 = 0x4000_0000;
    const ONLY_THERE: std::ops::RangeInclusive<i64> = 512..=547;
    let own = [
        libc::SYS_kexec_file_load,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
    ];
    let numbers = REFUSED.iter().copied().chain(own);
    let numbers: Vec<i64> = numbers.collect();
    let second = numbers.clone().into_iter().chain(ONLY_THERE);
    let second: Vec<i64> = second.map(|number| number | X32).collect();
    numbers.into_iter().chain(second)
}
