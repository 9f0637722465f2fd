//! zoho-mail-reconciler: a folder of YAML manifests becomes exactly the PUTs that are needed.
//!
//! # The way of the data
//!
//! ```text
//!  desired-state/*.yaml
//!     | source      files -> changed bytes (watch, debounce, rescan by fingerprint), but for .reconcilerignore's
//!     v
//!  manifest         bytes of one file -> documents + all its problems with file:line:column
//!     v
//!  attribution      documents -> who decided them: the revision at which each came to say what it says
//!     v
//!  desired          all documents -> DesiredState; last good per file; duplicates held; accounts touched
//!     |                         keys of those accounts
//!     v
//!  queue            which account next, and when: dedup, backoff, urgency. Keys, never changes
//!     | peek(now)
//!     v
//!  plan             plan_account(desired, ledger row) -> Changes. Planned again at every pop
//!     v
//!  guard            the disruption and grant budgets and their approvals: a filter on a finished plan
//!     v
//!  throttle         may a request start now? request budget, imposed pauses, breaker
//!     v
//!  ledger: intent   durable before the PUT leaves
//!     v
//!  zoho             Change -> request -> response -> Outcome
//!     v
//!  ledger: outcome  with who decided it; then the report, the status and the metrics see it
//!     | at each fold                                     ^
//!     v                                                  | corrects; never a PUT by itself
//!  ledger: audit    every acknowledged change, chained    zoho: listing, what the service shows
//!                   by hashes: what `history` reads
//! ```
//!
//! Beside it, for pull requests: [`compare`] makes a plan of two desired states, of which [`source`] reads one from Git's
//! objects. And before all of it an operator's [`switch`]: while its [`freeze`] lasts, nothing is sent, and an
//! [`order`] brings what else is asked of the process that has the ledger. For people around
//! it: the [`page`], made of the conductor's [`report`] and [`status`] and served by [`admin`]; the [`notifier`], which
//! says by a webhook what the rules of [`notice`] find worth saying; the [`doctor`]; and the [`runbook`], to which each
//! reason leads.
//!
//! There are two cycles only, and both are inside [`controller`]: a retry goes back to the queue,
//! and the ledger feeds the plan. Everything between two arrows is a value that can be printed.
//!
//! # The controller: a machine and a shell
//!
//! ```text
//!  controller           the shell: waits, performs effects, publishes. The only async code of the room
//!     | Event                        ^ Effect: append, PUT, fetch a token, answer, log, count
//!     v                              |
//!  controller::machine  handle(event, now, chance); turn(now) -> effects; next_timeout()
//! ```
//!
//! The machine owns all state and knows no runtime, no file, no clock, no log and no metrics. It says in one place why
//! nothing may start, and whoever wants to know reads that.
//!
//! # Reading order
//!
//! The words first: [`account`], [`change`], [`condition`], [`observed`], [`revision`], [`timestamp`], [`validity`]. Then the
//! heart, all of it pure: [`plan`] (with the truth table), [`guard`], [`queue`], [`throttle`], [`ledger`]. Then
//! [`controller`], with its machine, which says what follows of which event. The rest can be read in any order.
//!
//! # Who may import whom
//!
//! Words <- pure rooms <- I/O rooms <- [`controller`] <- [`cli`]. An I/O room never imports another
//! one. Pure rooms know no runtime, no files, no sockets, no environment, no clock and no chance:
//! time and chance are arguments. A test holds the table.
//!
//! # Invariants
//!
//! Each has a test named after it.
//!
//! 1. At most one request in flight per account.
//! 2. The ledger never claims what the service has not acknowledged; an intent is durable before its
//!    PUT leaves.
//! 3. After a fully successful pass the plan is empty, and a restart issues no request.
//! 4. An unreadable file, folder or listing never takes anything away. Where it is not known what is ignored, nothing is.
//! 5. Whatever was in doubt is settled by a PUT of what is desired now, or by a read that began when that PUT could land no
//!    more.
//! 6. No window ever exceeds the request budget; a pause the service imposed is never jumped, unless an operator lifts it;
//!    nothing is sent during a freeze.
//! 7. Incremental reading and a fresh full load give the same desired state, for any edits.
//! 8. The cost of one edit does not grow with the number of accounts; nor does that of one PUT on disk.
//! 9. `plan`, `diff`, `validate`, `status`, `history` and `doctor` cannot write: they never name the client that does;
//!    `refresh` and `export` wrap the network in one that lets no PUT out.
//! 10. planned = applied + held + failed + in doubt, in every report.
//! 11. Secrets are in no log, error, ledger, metric, page or panic.
//! 12. Everything is bounded: queue, body, file, retry, journal, token requests, log lines per cause, and the time for which
//!     a reader outside can hold the loop up: none.
//! 13. Nothing is taken away from a protected account, nor beyond the disruption budget without an approval that stood at
//!     the intent; nor do more mailboxes come back than a grant budget allows.
//! 14. Every acknowledged change is in the history once, with who decided it; a record that was edited is noticed.
//! 15. An account whose requests would be accepted is applied within a bounded number of requests, whatever the service
//!     answers for others; nor does one field of an account wait for the other.
//! 16. No step of the wall clock shortens a pause, empties a window, revives an approval or what ended by its date, or
//!     prolongs a hold beyond its length: neither one that a process sees, nor one back that shows in what the ledger remembers. A clock that goes
//!     forward while no process runs looks like time that passed.
//! 17. What cannot be read loosens nothing: a value without a known place, style and tag is refused, and a file that
//!     declared a budget keeps it until it is deleted or declares something else, in a folder that can be read; neither a
//!     restart nor what hides the file from sight ends it, nor does a link replace it.
//! 18. One account has one identity: two documents with one accountId, name or address are both held, and so is one whose
//!     user has the number of its account.
//!
//! # What is deliberately absent
//!
//! Reading the service's state (drift): [`zoho`] decodes the whole listing into [`observed`]
//! accounts, for a client that looks, which [`doctor`] alone has; the conductor has none.

pub mod account;
pub mod change;
pub mod condition;
pub mod observed;
pub mod revision;
pub mod timestamp;
pub mod validity;

pub mod source;
pub mod manifest;
pub mod attribution;
pub mod desired;
pub mod queue;
pub mod plan;
pub mod guard;
pub mod compare;
pub mod throttle;
pub mod ledger;
pub mod zoho;
pub mod status;
pub mod report;
pub mod runbook;
pub mod freeze;
pub mod order;
pub mod notice;
pub mod page;
pub mod controller;

pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod metrics;
pub mod notifier;
pub mod sandbox;
pub mod service;
pub mod shutdown;
pub mod switch;
pub mod telemetry;
pub mod version;
