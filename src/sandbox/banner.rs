//! What the `sandbox` command prints: where it is, and what to paste into another shell.
//!
//! In: the world and its URL. Out: [`Banner`], plain text. Invariant: every line that looks like
//! shell is shell, and names a ledger of its own, so that a rehearsal never meets the real one.

use std::fmt;

use super::settings::{Budget, Credentials, Role};
use super::world::World;
use crate::account::Zoid;

/// The ledger of a rehearsal, beside the real one and not to be taken for it.
const LEDGER: &str = "sandbox-ledger.json";

/// The same for a person: a ledger speaks of an organization or of a person, never of both.
const PERSON_LEDGER: &str = "sandbox-person-ledger.json";

/// The text for a person who starts the sandbox.
#[derive(Clone, Debug)]
pub struct Banner {
    url: String,
    zoid: Zoid,
    accounts: usize,
    budget: Option<Budget>,
    faults: usize,
    credentials: Vec<Credentials>,
}

impl Banner {
    /// The banner of `world` as served at `url`.
    pub fn new(url: impl Into<String>, world: &World) -> Self {
        Self {
            url: url.into(),
            zoid: world.zoid(),
            accounts: world.accounts().len(),
            budget: world.budget(),
            faults: world.fault_count(),
            credentials: world.credentials().cloned().collect(),
        }
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, zoid, accounts, .. } = self;
        writeln!(f, "A simulated Zoho Mail API. Nothing that happens here reaches Zoho.\n")?;
        writeln!(f, "  API and accounts URL  {url}")?;
        writeln!(f, "  organization          {zoid}")?;
        writeln!(f, "  accounts              {accounts}")?;
        match self.budget {
            None => writeln!(f, "  request budget        unlimited")?,
            Some(Budget { requests, window, lock, .. }) => writeln!(
                f,
                "  request budget        {requests} per {}, then locked for {}",
                humantime::format_duration(window),
                humantime::format_duration(lock)
            )?,
        }
        writeln!(f, "  faults                {}", self.faults)?;
        for credentials in &self.credentials {
            write_rehearsal(f, url, *zoid, credentials)?;
        }
        writeln!(f, "\nTo look in:\n")?;
        writeln!(f, "  curl {url}/sandbox/accounts")?;
        writeln!(f, "  curl {url}/sandbox/requests")?;
        writeln!(f, "  curl -X PUT --data-binary @faults.json {url}/sandbox/faults")
    }
}

fn write_rehearsal(f: &mut fmt::Formatter<'_>, url: &str, zoid: Zoid, credentials: &Credentials) -> fmt::Result {
    let Credentials { client_id, client_secret, refresh_token, person, role, scopes: _ } = credentials;
    let (auth, ledger) = match role {
        Role::SuperAdmin | Role::Admin => {
            writeln!(f, "\nIn another shell, as the administrator:\n")?;
            (format!("admin ZOHO_MAIL_ZOID={zoid}"), LEDGER)
        }
        Role::Member => {
            writeln!(f, "\nOr as the person with zuid {person}, for their own account:\n")?;
            ("user".to_owned(), PERSON_LEDGER)
        }
    };
    writeln!(f, "  export ZOHO_MAIL_API_URL={url} ZOHO_MAIL_ACCOUNTS_URL={url}")?;
    writeln!(f, "  export ZOHO_MAIL_CLIENT_ID={client_id} ZOHO_MAIL_CLIENT_SECRET={client_secret}")?;
    writeln!(f, "  export ZOHO_MAIL_REFRESH_TOKEN={refresh_token} ZOHO_MAIL_LEDGER={ledger}")?;
    writeln!(f, "  export ZOHO_MAIL_AUTH={auth}")?;
    writeln!(f, "  zoho-mail-reconciler apply")
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn the_banner_can_be_pasted_into_a_shell() {
        let world = World::new(Settings { budget: Some(Budget::default()), ..Settings::default() });
        insta::assert_snapshot!(Banner::new("http://127.0.0.1:4000", &world), @"
        A simulated Zoho Mail API. Nothing that happens here reaches Zoho.

          API and accounts URL  http://127.0.0.1:4000
          organization          12345678
          accounts              0
          request budget        30 per 1m, then locked for 15m
          faults                0

        In another shell, as the administrator:

          export ZOHO_MAIL_API_URL=http://127.0.0.1:4000 ZOHO_MAIL_ACCOUNTS_URL=http://127.0.0.1:4000
          export ZOHO_MAIL_CLIENT_ID=sandbox ZOHO_MAIL_CLIENT_SECRET=sandbox
          export ZOHO_MAIL_REFRESH_TOKEN=sandbox ZOHO_MAIL_LEDGER=sandbox-ledger.json
          export ZOHO_MAIL_AUTH=admin ZOHO_MAIL_ZOID=12345678
          zoho-mail-reconciler apply

        Or as the person with zuid 1111111, for their own account:

          export ZOHO_MAIL_API_URL=http://127.0.0.1:4000 ZOHO_MAIL_ACCOUNTS_URL=http://127.0.0.1:4000
          export ZOHO_MAIL_CLIENT_ID=sandbox ZOHO_MAIL_CLIENT_SECRET=sandbox
          export ZOHO_MAIL_REFRESH_TOKEN=sandbox-person ZOHO_MAIL_LEDGER=sandbox-person-ledger.json
          export ZOHO_MAIL_AUTH=user
          zoho-mail-reconciler apply

        To look in:

          curl http://127.0.0.1:4000/sandbox/accounts
          curl http://127.0.0.1:4000/sandbox/requests
          curl -X PUT --data-binary @faults.json http://127.0.0.1:4000/sandbox/faults
        ");
    }
}
