//! A fingerprint of what a manifest wants, to tell whether it has changed since it was reconciled.
//!
//! In: a validated spec. Out: 64 bits (xxh3) of an unambiguous encoding.
//! Invariants: equal specs have equal fingerprints in every version of this program and on every
//! machine, for the ledger keeps them; different ones differ but for chance. A new field of the
//! spec is encoded after the others, and not at all while it is absent.

use xxhash_rust::xxh3::xxh3_64;

use crate::account::{MailAccountSpec, Suspend};
use crate::validity::Period;

/// The fingerprint of `spec`.
pub(super) fn of(spec: &MailAccountSpec) -> u64 {
    let MailAccountSpec { account_id, zuid, email, enabled, active_sync_enabled, suspend, period } = spec;
    let mut bytes = Vec::with_capacity(96);
    bytes.extend(account_id.get().to_le_bytes());
    optional(&mut bytes, zuid.as_ref(), |bytes, zuid| bytes.extend(zuid.get().to_le_bytes()));
    optional(&mut bytes, email.as_deref(), text);
    optional(&mut bytes, enabled.as_ref(), |bytes, value| bytes.push(u8::from(*value)));
    optional(&mut bytes, active_sync_enabled.as_ref(), |bytes, value| bytes.push(u8::from(*value)));
    optional(&mut bytes, suspend.as_deref(), |bytes, Suspend { reason, until }| {
        optional(bytes, reason.as_deref(), text);
        optional(bytes, until.as_ref(), |bytes, until| bytes.extend(until.as_millis().to_le_bytes()));
    });
    if let Some(Period { from, until }) = period.as_deref() {
        for boundary in [from, until] {
            optional(&mut bytes, boundary.as_ref(), |bytes, at| bytes.extend(at.as_millis().to_le_bytes()));
        }
    }
    xxh3_64(&bytes)
}

fn optional<T: ?Sized>(bytes: &mut Vec<u8>, value: Option<&T>, encode: impl Fn(&mut Vec<u8>, &T)) {
    bytes.push(u8::from(value.is_some()));
    if let Some(value) = value {
        encode(bytes, value);
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Zuid};
    use crate::timestamp::Timestamp;

    fn spec() -> MailAccountSpec {
        MailAccountSpec {
            account_id: AccountId::new(2_560_636_000_000_008_002).unwrap(),
            zuid: Zuid::new(1_111_111),
            email: Some("alice@example.com".into()),
            enabled: Some(true),
            active_sync_enabled: None,
            suspend: None,
            period: None,
        }
    }

    #[test]
    fn a_fingerprint_is_the_same_in_every_version() {
        // Ledgers hold this number. If it changes, every account looks edited after an upgrade.
        assert_eq!(format!("{:016x}", of(&spec())), "42d4a699c2a59b48");
    }

    #[test]
    fn each_field_changes_the_fingerprint() {
        let (reason, until) = (Some("x".into()), Some(Timestamp::from_millis(5)));
        let variants = [
            spec(),
            MailAccountSpec { account_id: AccountId::new(1).unwrap(), ..spec() },
            MailAccountSpec { zuid: None, ..spec() },
            MailAccountSpec { email: None, ..spec() },
            MailAccountSpec { email: Some("alice@example.co".into()), ..spec() },
            MailAccountSpec { enabled: Some(false), ..spec() },
            MailAccountSpec { enabled: None, active_sync_enabled: Some(true), ..spec() },
            MailAccountSpec { suspend: Some(Box::default()), ..spec() },
            MailAccountSpec { suspend: Some(Box::new(Suspend { reason, until: None })), ..spec() },
            MailAccountSpec { suspend: Some(Box::new(Suspend { reason: None, until })), ..spec() },
            MailAccountSpec { period: Some(Box::new(Period { from: until, until: None })), ..spec() },
            MailAccountSpec { period: Some(Box::new(Period { from: None, until })), ..spec() },
        ];
        let distinct: std::collections::BTreeSet<u64> = variants.iter().map(of).collect();
        assert_eq!(distinct.len(), variants.len());
    }
}
