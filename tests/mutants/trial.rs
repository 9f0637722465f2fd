//! The trial of one variant: its tests run with the bug in force, and must all fail.
//!
//! In: the copy. Out: [`Caught`].
//! Invariants: a test that is not there, or that passes without the bug only by chance, is an error of the run and not
//! a success of the variant; a trial ends, if need be by a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::copy::{VARIABLE, project};
use super::variants::Variant;

/// How long a trial may take: ten times the longest deadline of a test, for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// The target that is no collection of tests.
const SOAK: &str = "soak";

/// How long a soak takes in a trial: a leak of any size that matters shows in a minute's half.
const SOAK_MINUTES: &str = "0.5";

/// What was built of the copy.
pub struct Built {
    /// By target.
    executables: BTreeMap<&'static str, PathBuf>,
    copy: PathBuf,
}

/// What became of a variant.
pub struct Caught {
    pub took: Duration,
    /// Each of its tests, and whether it failed.
    tests: Vec<(&'static str, bool)>,
    /// Why nothing is known, if so.
    trouble: Option<String>,
}

impl Caught {
    /// Whether every test did its duty.
    pub fn all(&self) -> bool {
        self.trouble.is_none() && !self.tests.is_empty() && self.tests.iter().all(|(_, failed)| *failed)
    }

    /// What to say of it.
    pub fn text(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("**{trouble}**");
        }
        let tests = self.tests.iter().map(|(test, failed)| {
            let short = test.rsplit("::").next().unwrap_or(test);
            if *failed { short.to_owned() } else { format!("**not by {short}**") }
        });
        tests.collect::<Vec<_>>().join(", ")
    }
}

impl Built {
    /// Builds the copy: its program and all its tests.
    pub fn build(copy: &Path) -> anyhow::Result<Self> {
        let below = copy.parent().context("a folder")?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args([
            "test",
            "--no-run",
            "--locked",
            "--lib",
            "--test",
            "it",
            "--test",
            SOAK,
            "--message-format",
            "json",
        ]);
        // What is shared with the original is in its build directory; what it would overwrite is beside the copy.
        command.env("CARGO_BUILD_BUILD_DIR", below.parent().context("a folder")?).env("CARGO_TARGET_DIR", below);
        command.current_dir(copy);
        // What the outer cargo says of the original would make build scripts of dependencies run again, for both.
        let outer =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"].iter().any(|prefix| name.starts_with(prefix));
        std::env::vars().filter(|(name, _)| outer(name)).for_each(|(name, _)| {
            command.env_remove(name);
        });
        let output = command.output().context("cargo")?;
        if !output.status.success() {
            let says = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
            let errors = String::from_utf8_lossy(&output.stdout);
            let errors = errors.lines().filter_map(says).filter(|line| line["message"]["level"] == "error");
            errors.for_each(|error| eprint!("{}", error["message"]["rendered"].as_str().unwrap_or_default()));
            bail!("the copy with the variants does not compile: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut executables = BTreeMap::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let target = match (line["target"]["kind"][0].as_str(), line["target"]["name"].as_str()) {
                (Some("lib"), _) => "lib",
                (_, Some("it")) => "it",
                (_, Some("soak")) => SOAK,
                _ => continue,
            };
            if let Some(executable) = line["executable"].as_str() {
                executables.insert(target, executable.into());
            }
        }
        ensure!(executables.len() == 3, "cargo built no tests");
        Ok(Self { executables, copy: copy.to_owned() })
    }

    /// Every test of `chosen` is there, and passes as long as no bug is in force.
    pub fn check_healthy(&self, chosen: &[&Variant]) -> anyhow::Result<()> {
        let tests: BTreeSet<_> = chosen.iter().flat_map(|variant| variant.caught_by).copied().collect();
        eprintln!("{} variants of {}: {} tests without any", chosen.len(), project().display(), tests.len());
        let failed = self.run("", 100, &tests.into_iter().collect::<Vec<_>>())?;
        let failed: Vec<_> = failed.into_iter().filter(|(_, failed)| *failed).map(|(test, _)| test).collect();
        ensure!(failed.is_empty(), "without any bug these tests fail: {}", failed.join(", "));
        Ok(())
    }

    /// Runs the variant's tests with its bug in force.
    pub fn try_out(&self, variant: &Variant) -> Caught {
        let begun = Instant::now();
        let (tests, trouble) = match self.run(variant.name, variant.seeds, variant.caught_by) {
            Ok(tests) => (tests, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Caught { took: begun.elapsed(), tests, trouble }
    }

    /// Runs `tests` and says of each whether it failed. Those of the crate itself begin with `lib::`.
    fn run(&self, variant: &str, seeds: u32, tests: &[&'static str]) -> anyhow::Result<Vec<(&'static str, bool)>> {
        let mut found = Vec::new();
        for (target, executable) in &self.executables {
            let names: Vec<_> = tests.iter().filter(|test| target_of(test) == *target).copied().collect();
            if names.is_empty() {
                continue;
            }
            let said = self.execute(target, executable, variant, seeds, &names)?;
            for test in names {
                let verdict = verdict(target, test, &said);
                found.push((test, verdict.with_context(|| format!("{test} did not run: is it still called so?"))?));
            }
        }
        Ok(found)
    }

    fn execute(
        &self,
        target: &str,
        executable: &Path,
        variant: &str,
        seeds: u32,
        names: &[&str],
    ) -> anyhow::Result<String> {
        let mut command = Command::new("timeout");
        command.arg("--signal=KILL").arg(PATIENCE.as_secs().to_string()).arg(executable);
        if target != SOAK {
            command.arg("--exact").args(names.iter().map(|name| name.trim_start_matches("lib::")));
        }
        command.env(VARIABLE, variant).env("SIMULATION_SEEDS", seeds.to_string());
        // Until all is right again after the last fault takes minutes by design, and no row of the table is about that.
        command
            .env("SOAK_MINUTES", SOAK_MINUTES)
            .env("SOAK_CALM", "0")
            .env("INSTA_UPDATE", "no")
            .env("RUST_BACKTRACE", "0");
        // Into a file: a pipe ends only when the last process that a killed test left behind lets go of it.
        let mut said = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(Stdio::null());
        let status = command.current_dir(&self.copy).status().context("timeout")?;
        said.rewind()?;
        let mut bytes = Vec::new();
        said.read_to_end(&mut bytes)?;
        let said = String::from_utf8_lossy(&bytes).into_owned();
        if !matches!(status.code(), Some(0 | 1 | 101)) {
            let open = names.iter().filter(|name| verdict(target, name, &said).is_none());
            let open = open.copied().collect::<Vec<_>>().join(", ");
            bail!("{target} ended with {status} after {PATIENCE:?} at the most; without a verdict: {open}");
        }
        Ok(said)
    }
}

/// Which executable has the test.
fn target_of(test: &str) -> &'static str {
    match test {
        test if test.starts_with("lib::") => "lib",
        test if test.starts_with("soak ") => SOAK,
        _ => "it",
    }
}

/// Whether the test failed, by what its executable said; nothing if it is not named.
fn verdict(target: &str, test: &str, said: &str) -> Option<bool> {
    if target == SOAK {
        let row = format!("| {} |", test.trim_start_matches("soak "));
        return said.lines().find(|line| line.starts_with(&row)).map(|line| line.contains("**no**"));
    }
    let line = format!("test {} ... ", test.trim_start_matches("lib::"));
    match said.lines().find_map(|said| said.strip_prefix(&line))? {
        "ok" => Some(false),
        "FAILED" => Some(true),
        _ => None,
    }
}
