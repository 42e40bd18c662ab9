//! A confined process, seen from inside: this program starts itself anew and tries.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::Command;

use keyfold_net::confine::Measure;
use keyfold_net::{Confinement, dumps};

/// Set for the process that is confined: the folder it may use. Its parent's id follows.
const FOLDER: &str = "KEYFOLD_TEST_CONFINED_FOLDER";
const PARENT: &str = "KEYFOLD_TEST_CONFINED_PARENT";

/// Whether each of these is possible.
#[derive(Debug, PartialEq, Eq)]
struct Can {
    read_outside: bool,
    write_outside: bool,
    write_inside: bool,
    move_between_folders_inside: bool,
    start_a_program: bool,
    read_memory_of_another: bool,
    ask_for_memory_of_another: bool,
    signal_another: bool,
}

impl Can {
    fn try_all(folder: &Path, parent: i32) -> Self {
        let outside = folder.parent().unwrap().join("outside");
        let (one, two) = (folder.join("one"), folder.join("two"));
        for made in [&one, &two] {
            let _ = std::fs::create_dir(made);
        }
        let pid = rustix::process::Pid::from_raw(parent).unwrap();
        Self {
            read_outside: std::fs::read(&outside).is_ok(),
            write_outside: std::fs::write(&outside, "changed").is_ok(),
            write_inside: std::fs::write(one.join("file"), "x").is_ok(),
            move_between_folders_inside: std::fs::rename(one.join("file"), two.join("file"))
                .is_ok(),
            start_a_program: Command::new("/bin/true").status().is_ok(),
            read_memory_of_another: std::fs::File::open(format!("/proc/{parent}/mem")).is_ok(),
            ask_for_memory_of_another: reads_memory(parent),
            signal_another: rustix::process::test_kill_process(pid).is_ok(),
        }
    }
}

/// Asks for one byte of another process, at an address that is mapped in neither.
fn reads_memory(of: i32) -> bool {
    let mut byte = 0_u8;
    let here = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let there = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(1),
        iov_len: 1,
    };
    // SAFETY: one buffer of one byte, which lives through the call; the address of the other process
    // is never touched here.
    let read = unsafe { libc::process_vm_readv(of, &here, 1, &there, 1, 0) };
    // Whoever may look is told that nothing is there.
    read == 1 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// What the confined process does. Does nothing when the tests are run.
#[test]
fn within() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let parent = std::env::var(PARENT).unwrap().parse().unwrap();
    let mut status = std::fs::File::open("/proc/thread-self/status").unwrap();
    let free = Can::try_all(folder, parent);
    let able = Can {
        read_outside: true,
        write_outside: true,
        write_inside: true,
        move_between_folders_inside: true,
        start_a_program: true,
        read_memory_of_another: free.read_memory_of_another,
        ask_for_memory_of_another: free.ask_for_memory_of_another,
        signal_another: true,
    };
    assert_eq!(free, able, "the test does not see what a process can do");

    dumps::switch_off().unwrap();
    let confined = Confinement::new().writes_beneath(folder).apply();
    eprintln!("{confined:?}");
    let holds = |measure| confined.holds().contains(&measure);
    let lacks = |measure| {
        let lacks = !holds(measure);
        if lacks {
            eprintln!("SKIPPED IN PART: this kernel does not hold: {measure}");
        }
        lacks
    };
    let (files, calls) = (lacks(Measure::Files), lacks(Measure::SystemCalls));
    let expected = Can {
        read_outside: files,
        write_outside: files,
        write_inside: true,
        move_between_folders_inside: true,
        start_a_program: calls,
        read_memory_of_another: files && free.read_memory_of_another,
        ask_for_memory_of_another: calls && free.ask_for_memory_of_another,
        signal_another: files,
    };
    // A thread that begins later has no more.
    let inherited = std::thread::scope(|scope| {
        let thread = scope.spawn(|| Can::try_all(folder, parent));
        thread.join().unwrap()
    });
    assert_eq!(Can::try_all(folder, parent), expected);
    assert_eq!(inherited, expected);
    // Two processes of one domain may signal each other: it is the outside that is out of reach.
    assert!(rustix::process::test_kill_process(rustix::process::getpid()).is_ok());

    let mut text = String::new();
    status.rewind().unwrap();
    status.read_to_string(&mut text).unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(value("NoNewPrivs:"), "1");
    assert_eq!(value("Seccomp:"), if calls { "0" } else { "2" });
    // Low ports, other users' files, locked memory: bits 10, 1, 14.
    let kept = u64::from_str_radix(&value("CapEff:"), 16).unwrap();
    assert_eq!(kept & !(1 << 10 | 1 << 1 | 1 << 14), 0, "{kept:x}");
}

#[test]
fn a_confined_process_reaches_its_folder_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outside"), "another's").unwrap();
    let folder = dir.path().join("own");
    std::fs::create_dir(&folder).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["within", "--exact", "--nocapture"])
        .env(FOLDER, &folder)
        .env(PARENT, std::process::id().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Confined {"), "it did not run: {said}");
}
