//! Any edits of real files, on a clock of their own, end in what a fresh load of the folder gives.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::super::load;
use super::*;
use crate::account::AuthMode;
use crate::attribution;
use crate::desired::{DesiredState, Standing};
use crate::manifest::{Problem, Rules, parse};

pub(super) const PATHS: [&str; 4] = ["a.yaml", "b.yaml", "sub/c.yaml", "sub/d.yaml"];

const BUSY: &str = "busy.yaml";

#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write(usize, String),
    Remove(usize),
    Rename(usize, usize),
    /// The folder within the folder goes with all that is in it.
    RemoveSub,
    /// Every file goes, as when somebody checks out the wrong branch.
    RemoveAll,
    /// The folder itself goes, or is there and empty; until it is back.
    Away,
    Empty,
    Back,
    /// Everything is looked at, as after lost events.
    Resync,
    /// From now on a file is written again and again without an event; or no more.
    Busy,
}

/// An edit, whether there is an event for it, and the time until the next one in milliseconds.
type Step = (Edit, bool, u64);

fn any_text() -> impl Strategy<Value = String> {
    let document =
        (1..4_u64, prop::sample::select(vec!["p", "q", "r"]), any::<bool>()).prop_map(|(id, name, enabled)| {
            format!(
                "---\napiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: {name}\nspec:\n  \
             accountId: 256063600000000{id}\n  enabled: {enabled}\n"
            )
        });
    let whole = prop::collection::vec(document, 1..3).prop_map(|documents| documents.concat()).boxed();
    // Half-written, down to nothing: what a save in place shows for a moment, or a crash for ever.
    let half =
        (whole.clone(), any::<prop::sample::Index>()).prop_map(|(text, end)| text[..end.index(text.len())].into());
    prop_oneof![6 => whole, 2 => half, 1 => Just(String::new())]
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let path = || 0..PATHS.len();
    let edit = prop_oneof![
        12 => (path(), any_text()).prop_map(|(path, text)| Edit::Write(path, text)),
        4 => path().prop_map(Edit::Remove),
        4 => (path(), path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => Just(Edit::RemoveSub),
        2 => Just(Edit::RemoveAll),
        1 => Just(Edit::Away),
        1 => Just(Edit::Empty),
        3 => Just(Edit::Back),
        1 => Just(Edit::Resync),
        2 => Just(Edit::Busy),
    ];
    // Around the debounce of 200 ms, seldom beyond the patience of 5 s.
    let time = prop_oneof![8 => 0..700_u64, 1 => 0..6_000_u64];
    prop::collection::vec((edit, prop::bool::weighted(0.8), time), 1..30)
}

impl Stage {
    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("state").join(path)
    }

    /// Carries out an edit; an impossible one changes nothing. Returns the paths an event would name.
    pub(super) fn edit(&mut self, edit: &Edit) -> Vec<&'static str> {
        let (root, away) = (self.at(""), self.folder.path().join("away"));
        match edit {
            Edit::Write(path, text) => {
                self.save(PATHS[*path], text);
                vec![PATHS[*path]]
            }
            Edit::Remove(path) => {
                let _ = fs::remove_file(self.at(PATHS[*path]));
                vec![PATHS[*path]]
            }
            Edit::Rename(from, to) => {
                let _ = fs::rename(self.at(PATHS[*from]), self.at(PATHS[*to]));
                vec![PATHS[*from], PATHS[*to]]
            }
            Edit::RemoveSub => {
                let _ = fs::remove_dir_all(self.at("sub"));
                vec!["sub"]
            }
            Edit::RemoveAll => {
                PATHS.into_iter().chain([BUSY]).for_each(|path| drop(fs::remove_file(self.at(path))));
                PATHS.into_iter().chain([BUSY]).collect()
            }
            Edit::Away | Edit::Empty => {
                if !away.exists() {
                    fs::rename(&root, &away).unwrap();
                    if matches!(edit, Edit::Empty) {
                        fs::create_dir(&root).unwrap();
                    }
                }
                vec![]
            }
            Edit::Back => {
                if away.exists() {
                    let _ = fs::remove_dir_all(&root);
                    fs::rename(&away, &root).unwrap();
                }
                vec![]
            }
            Edit::Resync => {
                self.keeper.resync(self.now().mono);
                vec![]
            }
            Edit::Busy => vec![BUSY],
        }
    }

    fn save(&self, path: &str, text: &str) {
        let path = self.at(path);
        if self.at("").is_dir() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::File::options().append(true).open(path).unwrap().set_modified(self.now().wall).unwrap();
        }
    }

    /// Lets time pass, in which the busy file is at rest at no look.
    fn pass_busily(&mut self, mut time: u64) -> Vec<Batch<String>> {
        let mut told = Vec::new();
        while time > 0 {
            self.save(BUSY, &format!("# {:?}\n", self.passed));
            let part = time.min(150);
            told.extend(self.pass(Duration::from_millis(part)));
            time -= part;
        }
        told
    }

    pub(super) fn report_edit(&mut self, path: &str) {
        let base = self.folder.path().canonicalize().unwrap().join("state");
        let event = Event::new(EventKind::Create(CreateKind::Any)).add_path(base.join(path));
        self.keeper.hints().report(&base, Some(&event));
        self.keeper.stir(self.now().mono);
    }
}

/// What the program makes of all that it was told.
#[derive(Default)]
struct Consumer {
    files: BTreeMap<Arc<str>, Look<String>>,
    state: DesiredState,
    /// What was not there since it was last told as read: in a folder that held anything else, or taken out by itself.
    missed: BTreeSet<Arc<str>>,
}

impl Consumer {
    fn miss(&mut self, stage: &Stage, edit: &Edit) {
        let (there, missing): (Vec<_>, Vec<_>) =
            PATHS.into_iter().chain([BUSY]).partition(|path| stage.at(path).is_file());
        let alone = |path: &str| match edit {
            Edit::Remove(removed) | Edit::Rename(removed, _) => PATHS[*removed] == path,
            Edit::RemoveSub => path.starts_with("sub/"),
            _ => false,
        };
        let missing = missing.into_iter().filter(|path| !there.is_empty() || alone(path));
        self.missed.extend(missing.map(Arc::from));
    }

    /// Takes a batch that came after `edit`. What it tells as read may be gone again.
    fn see(&mut self, stage: &Stage, edit: &Edit, files: Vec<(Arc<str>, Look<String>)>) {
        self.take(files);
        self.miss(stage, edit);
    }

    fn take(&mut self, files: Vec<(Arc<str>, Look<String>)>) {
        for (path, look) in files {
            let parsed = match &look {
                Look::Read(text) => {
                    Look::Read(parse(&path, text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() }))
                }
                Look::Gone => Look::Gone,
                Look::Problem(problem) => Look::Problem(problem.clone()),
            };
            self.state.update(&path, attribution::look(&path, parsed));
            if look == Look::Gone {
                assert!(self.missed.contains(&path), "{path} was there all the time");
                self.files.remove(&path);
            } else {
                self.missed.remove(&path);
                self.files.insert(path, look);
            }
        }
    }

    fn problems(&self) -> Vec<Problem> {
        self.state.problems().map(std::borrow::Cow::into_owned).collect()
    }
}

/// The same steps in each run, unless `PROPTEST_RNG_SEED` says otherwise: what is rare is looked for on purpose. Known, and
/// left to the next resync: a file that was missing and is written again without an event, just when it is told as gone,
/// about once in 70,000 cases.
fn seed() -> RngSeed {
    match ProptestConfig::default().rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        chosen => chosen,
    }
}

proptest! {
    // A failure is kept as an example beside this, not in a folder of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: seed(), ..ProptestConfig::default() })]
    #[test]
    fn any_edits_of_real_files_end_in_what_a_fresh_load_gives(steps in any_steps()) {
        let mut stage = Stage::within("state", quiet());
        let (mut told, mut busy) = (Consumer::default(), false);
        for (edit, is_reported, time) in steps {
            busy ^= matches!(edit, Edit::Busy);
            busy &= !matches!(edit, Edit::RemoveAll);
            let paths = stage.edit(&edit);
            told.miss(&stage, &edit);
            let is_reported = is_reported || matches!(edit, Edit::RemoveAll);
            paths.into_iter().filter(|_| is_reported).for_each(|path| stage.report_edit(path));
            let batches = if busy { stage.pass_busily(time) } else { stage.pass(Duration::from_millis(time)) };
            told.miss(&stage, &edit);
            batches.into_iter().for_each(|batch| told.see(&stage, &edit, batch.files));
        }
        stage.edit(&Edit::Back);
        told.miss(&stage, &Edit::Back);
        for _ in 0..2 {
            stage.edit(&Edit::Resync);
            stage.pass(12 * SECOND).into_iter().for_each(|batch| told.see(&stage, &Edit::Back, batch.files));
        }
        let text = |_: &Arc<str>, bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // An emptied folder is no news but a doubt.
        let Ok(batch) = load(&stage.at(""), &Git::default(), None, text) else { return Ok(()) };
        let mut fresh = Consumer::default();
        fresh.take(batch.files);
        prop_assert_eq!(&told.files, &fresh.files);
        for (account, desired) in fresh.state.iter() {
            prop_assert_eq!(told.state.get(account), Some(desired));
        }
        for (account, desired) in told.state.iter().filter(|(account, _)| fresh.state.get(*account).is_none()) {
            prop_assert_ne!(desired.standing, Standing::Current, "{}", account);
        }
        prop_assert_eq!((told.problems(), told.state.managed()), (fresh.problems(), fresh.state.managed()));
    }
}
