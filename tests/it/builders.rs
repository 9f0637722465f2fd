//! What the tests write into folders and hand to the controller: manifests, its settings, and the ids in both.
//!
//! In: what a test cares about. Out: a text as people write it, and settings that hold nothing back. Of what is not said,
//! a text has only what no manifest may be without: the ids of an account, or the reason and the end of an approval.
//! One key stands on a line, in the order it was first said, `accountId` and `zuid` before all others: the first that a
//! test says is on line 8, and those that show where something is wrong rely on it.
//!
//! Deliberately absent: texts that are wrong or laid out oddly, for their bytes are what their tests are about.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use zoho_mail_reconciler::account::{AccountId, Zuid};
use zoho_mail_reconciler::controller::{MAX_WAIT, Mode, Settings};
use zoho_mail_reconciler::queue::Backoff;

/// A manifest of any kind. Its text is what [`Display`] says; several make a file when `---` stands between them.
#[derive(Clone)]
pub struct Manifest {
    kind: &'static str,
    /// The lines of `metadata`.
    metadata: String,
    /// The keys of `spec`, with what stands behind the colon.
    spec: Vec<(String, String)>,
}

/// The accountId of the account numbered `n`. Number 2 is the one in the documents of the service.
pub fn account(n: u64) -> AccountId {
    AccountId::new(2_560_636_000_000_008_000 + n).unwrap()
}

/// The zuid of its user.
pub fn zuid(n: u64) -> Zuid {
    Zuid::new(1_111_109 + n).unwrap()
}

/// One pass that nothing holds back: no budgets, four requests at a time, and a second's wait for whatever fails.
pub fn settings() -> Settings {
    Settings {
        mode: Mode::Apply,
        rate_limit: None,
        max_concurrency: 4,
        request_timeout: Duration::from_secs(30),
        backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(1) },
        rejected: Backoff { min: Duration::from_secs(600), max: Duration::from_secs(24 * 3600) },
        throttle_pause: Duration::from_secs(1),
        refresh: None,
        drift_interval: None,
        drift_policy: Default::default(),
        max_wait: MAX_WAIT,
        disruption_budget: "100%".parse().unwrap(),
        grant_budget: Default::default(),
        disruption_window: Duration::from_secs(3600),
        shutdown_grace: Duration::from_secs(1),
        external_url: None,
    }
}

impl Manifest {
    /// An account called `name`: number 2, unless [`Manifest::id`] says another.
    pub fn of(name: impl Display) -> Self {
        Self::new("MailAccount", name).id(2)
    }

    /// The account numbered `n`, called `a` and its number.
    pub fn numbered(n: u64) -> Self {
        Self::of(format_args!("a{n}")).id(n)
    }

    /// A DisruptionBudget; what it allows is for the test to say.
    pub fn budget(name: impl Display) -> Self {
        Self::new("DisruptionBudget", name)
    }

    /// A DisruptionApproval of nothing yet, without an end that a test could live to see.
    pub fn approval(name: impl Display) -> Self {
        Self::new("DisruptionApproval", name).set("reason", "they leave").set("expires", "2999-01-01T00:00:00Z")
    }

    fn new(kind: &'static str, name: impl Display) -> Self {
        Self { kind, metadata: format!("  name: {name}\n"), spec: Vec::new() }
    }

    /// The ids of the account numbered `n`, and of its user.
    pub fn id(self, n: u64) -> Self {
        self.set("accountId", account(n)).set("zuid", zuid(n))
    }

    pub fn enabled(self, value: bool) -> Self {
        self.set("enabled", value)
    }

    pub fn active_sync(self, value: bool) -> Self {
        self.set("activeSyncEnabled", value)
    }

    /// Labels, as they stand between the braces.
    pub fn labels(mut self, labels: &str) -> Self {
        self.metadata += &format!("  labels: {{{labels}}}\n");
        self
    }

    /// The annotation that protects the account, or says that nothing does.
    pub fn protect(mut self, value: bool) -> Self {
        self.metadata += &format!("  annotations: {{zoho-mail-reconciler/protect: \"{value}\"}}\n");
        self
    }

    /// Any key of `spec`, with its value as YAML has it. What was said of the key before is forgotten.
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        let text = value.to_string();
        match self.spec.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = text,
            None => self.spec.push((key.to_owned(), text)),
        }
        self
    }

    /// Several keys at once: `enabled: true, suspend: true`.
    pub fn wanting(self, keys: &str) -> Self {
        let pairs = keys.split(", ").map(|pair| pair.split_once(": ").expect("key: value"));
        pairs.fold(self, |manifest, (key, value)| manifest.set(key, value))
    }

    /// Approves that the account called `name` loses these fields, which stand with commas between them.
    pub fn approving(self, name: impl Display, fields: &str) -> Self {
        let known = self.spec.iter().find(|(key, _)| key == "accounts").map(|(_, known)| known.clone());
        let accounts = known.unwrap_or_default() + &format!("\n    - name: {name}\n      fields: [{fields}]");
        self.set("accounts", accounts)
    }
}

impl Display for Manifest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { kind, metadata, spec } = self;
        write!(f, "apiVersion: zoho-mail-reconciler/v1\nkind: {kind}\nmetadata:\n{metadata}spec:\n")?;
        spec.iter().try_for_each(|(key, value)| {
            let blank = if value.starts_with('\n') { "" } else { " " };
            writeln!(f, "  {key}:{blank}{value}")
        })
    }
}
