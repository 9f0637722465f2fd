//! What a process did to the files of one folder, as strace saw it.
//!
//! In: the log of `strace -f -y -xx`, which prints every string in hexadecimal digits, so that no comma, quote or bracket
//! in it means anything. Out: [`Op`]s, in the order in which the calls ended.
//! Invariant: a call that changes files and is not known here is a panic, so that nothing is proven of a program that
//! has learnt to write in another way.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::{Disk, File, Op};

/// Calls that change nothing a power cut could take back, or nothing at all.
const HARMLESS: [&str; 24] = [
    "access",
    "chmod",
    "dup",
    "faccessat",
    "faccessat2",
    "fchmod",
    "fcntl",
    "flock",
    "fstat",
    "getdents64",
    "ioctl",
    "lseek",
    "lstat",
    "newfstatat",
    "poll",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "stat",
    "statfs",
    "statx",
    "fadvise64",
    "mmap",
];

/// What the outside is told is written here.
pub const SAID: &str = "said";

/// Takes up room, and is removed by whoever needs it.
pub const BALLAST: &str = "ballast";

/// An open file of the traced process.
struct Open {
    /// `None` is the folder, or what is said.
    file: Option<File>,
    name: String,
    /// Where the next write goes; `None` is the end.
    at: Option<usize>,
}

/// Reads the log of one process that found `disk`, and applies what it did to it.
pub fn read(log: &str, folder: &Path, disk: &mut Disk) -> Vec<Op> {
    let mut reader = Reader { folder: folder.to_str().unwrap(), disk, open: BTreeMap::new(), ops: Vec::new() };
    let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, begun);
        } else if let Some(resumed) = call.strip_prefix("<... ") {
            let rest = resumed.split_once(" resumed>").unwrap().1;
            reader.call(&format!("{}{rest}", unfinished.remove(thread).unwrap()));
        } else {
            reader.call(call);
        }
    }
    reader.ops
}

struct Reader<'a> {
    folder: &'a str,
    disk: &'a mut Disk,
    open: BTreeMap<u32, Open>,
    ops: Vec<Op>,
}

impl Reader<'_> {
    fn call(&mut self, text: &str) {
        let Some((call, result)) = text.rsplit_once(" = ") else { return };
        let Some((call, arguments)) = call.trim_end().trim_end_matches(')').split_once('(') else { return };
        let arguments: Vec<&str> = arguments.split(", ").collect();
        let failed = result.starts_with('-');
        match call {
            "openat" | "open" | "creat" => self.opened(call, &arguments, result),
            "close" => drop(self.open.remove(&number(arguments[0]))),
            "rename" | "renameat" | "renameat2" => {
                let names: Vec<_> = arguments.iter().filter_map(|argument| self.name(argument)).collect();
                if let ([from, to], false) = (&names[..], failed) {
                    self.add(Op::Rename(from.clone(), to.clone()));
                }
            }
            "unlink" | "unlinkat" => {
                let name = arguments.iter().find_map(|argument| self.name(argument));
                if let (Some(name), false) = (name, failed) {
                    self.add(Op::Unlink(name));
                }
            }
            _ => self.on_open_file(call, &arguments, result, failed),
        }
    }

    fn opened(&mut self, call: &str, arguments: &[&str], result: &str) {
        assert_eq!(call, "openat", "opened in a way that is not known here");
        let (Some(name), false) = (self.name(arguments[1]), result.starts_with('-')) else { return };
        let flags = arguments[2];
        let file = if name.is_empty() || name == SAID {
            None
        } else if let Some(file) = self.disk.named(&name) {
            if flags.contains("O_TRUNC") {
                self.add(Op::Truncate(file, 0));
            }
            Some(file)
        } else {
            let file = self.disk.unused();
            assert!(flags.contains("O_CREAT"), "{name} was opened, and nobody made it");
            self.add(Op::Make(name.clone(), file));
            Some(file)
        };
        let at = (!flags.contains("O_APPEND")).then_some(0);
        self.open.insert(number(result), Open { file, name, at });
    }

    fn on_open_file(&mut self, call: &str, arguments: &[&str], result: &str, failed: bool) {
        let Some(open) = self.open.get_mut(&number(arguments[0])) else { return };
        let (file, at) = (open.file, open.at);
        match call {
            "fsync" | "fdatasync" => self.add(Op::Sync(file, !failed)),
            _ if HARMLESS.contains(&call) => {}
            _ if failed => {}
            "write" => {
                let written = usize::try_from(number(result)).unwrap();
                let bytes = unhex(arguments[1])[..written].to_vec();
                open.at = at.map(|at| at + written);
                let op = match open.name.as_str() {
                    SAID => Op::Say(String::from_utf8(bytes).unwrap().trim_end().to_owned()),
                    _ => Op::Write(file.unwrap(), at, bytes),
                };
                self.add(op);
            }
            "ftruncate" => self.add(Op::Truncate(file.unwrap(), arguments[1].parse().unwrap())),
            _ => panic!("{call} of {} is not known here", open.name),
        }
    }

    fn add(&mut self, op: Op) {
        self.disk.apply(&op);
        self.ops.push(op);
    }

    /// The name within the folder of a path in quotes; empty for the folder. The lock has none: nobody reads it again.
    fn name(&self, argument: &str) -> Option<String> {
        let path = String::from_utf8(unhex(argument.strip_prefix('"')?)).ok()?;
        let name = path.strip_prefix(self.folder)?.trim_start_matches('/');
        (!name.ends_with(".lock") && name != BALLAST).then(|| name.to_owned())
    }
}

/// The leading digits: a descriptor, or a result. Nothing is open under what is no number.
fn number(text: &str) -> u32 {
    let digits = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().unwrap_or(u32::MAX)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('"').split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap()).collect()
}
