//! Which page of the listing comes next, and whether all of them were read.
//!
//! In: the pages, in their order. Out: the next [`Window`]; [`Extent`].
//! Invariants: an account that two pages show counts once; a listing is whole only if it ended by itself and every entry
//! of it was understood, so that none is taken for gone that a page left out; a service that counts from one, or whose
//! pages are longer or shorter than was asked for, loses no account; the number of pages is bounded.
//! Absent by design: requests, retries and the clock.

use std::collections::BTreeMap;

use super::listing::{PAGE_MAX, Page, Window};
use super::request::Principal;
use crate::account::AccountId;

/// How short pages get where longer ones take too long: one of 50 took ten seconds where somebody measured it.
const PAGE_MIN: u32 = 25;

/// How many accounts are read at most. Ten times as many as the largest organization that this program is measured with.
const ACCOUNTS_MAX: u64 = 1_000_000;

/// How much of the listing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// There is more to read.
    More,
    /// All of it.
    Whole,
    /// It ended, and some of it is unknown: why.
    Partial(&'static str),
}

/// Whether the mailbox is enabled, and whether ActiveSync is.
type State = [Option<bool>; 2];

/// Reads a listing page by page.
#[derive(Clone, Debug)]
pub struct Paging {
    window: Window,
    /// Whether the listing has pages at all.
    is_paged: bool,
    /// The accounts that were shown, each with its state.
    seen: BTreeMap<AccountId, Option<State>>,
    /// One was shown in two states.
    contradicts: bool,
    unusable: usize,
}

impl Paging {
    /// The beginning of what `principal` may see.
    pub const fn new(principal: Principal) -> Self {
        let is_paged = matches!(principal, Principal::Admin(_));
        let window = Window { start: 0, limit: PAGE_MAX };
        Self { window, is_paged, seen: BTreeMap::new(), contradicts: false, unusable: 0 }
    }

    /// The page to ask for.
    pub const fn window(&self) -> Window {
        self.window
    }

    /// Whether a page showed the account.
    pub fn has(&self, account: AccountId) -> bool {
        self.seen.contains_key(&account)
    }

    /// How many accounts were read.
    pub fn read(&self) -> usize {
        self.seen.len()
    }

    /// The page took too long: the same place is asked for with a shorter one. Returns whether there is a shorter one.
    pub fn shorten(&mut self) -> bool {
        let limit = (self.window.limit / 2).max(PAGE_MIN);
        std::mem::replace(&mut self.window.limit, limit) > limit
    }

    /// Takes in the page of [`Self::window`]: keeps in it those accounts that no page before it showed.
    ///
    /// A short page is not the end, for a service may give shorter ones than it is asked for: the end is a page without a
    /// new account.
    pub fn take(&mut self, page: &mut Page) -> Extent {
        let entries = page.entries();
        page.accounts.retain(|account| {
            let state = [account.enabled, account.active_sync_enabled];
            let before = *self.seen.entry(account.account).or_insert(None);
            self.contradicts |= before.is_some_and(|before| before != state);
            self.seen.insert(account.account, Some(state));
            before.is_none()
        });
        self.unusable += page.unusable;
        self.window.start += entries as u64;
        let is_new = !page.accounts.is_empty();
        if self.is_paged && is_new && self.window.start < ACCOUNTS_MAX {
            return Extent::More;
        }
        // A service that counts from one shows its last account again; one that has one page shows all of it.
        let usable = entries - page.unusable;
        let is_end = !is_new && (usable <= 1 || usable == self.seen.len());
        match () {
            () if self.is_paged && !(is_end && entries < self.window.limit as usize) => {
                Extent::Partial("the service shows a page again, or has no end")
            }
            () if self.contradicts => Extent::Partial("an account is listed twice, with different states"),
            () if self.unusable > 0 => Extent::Partial("some entries have no usable accountId"),
            // The owner of the token has one.
            () if self.seen.is_empty() => Extent::Partial("the service lists no account at all"),
            () => Extent::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observed::ObservedAccount;

    const ADMIN: fn() -> Principal = || Principal::Admin("1".parse().unwrap());

    fn account(n: u64) -> ObservedAccount {
        let account = AccountId::new(n + 1).unwrap();
        let (zuid, zoid, email, role, enabled, active_sync_enabled) = (None, None, None, None, None, None);
        ObservedAccount { account, zuid, zoid, email, role, enabled, active_sync_enabled }
    }

    /// How a service answers.
    #[derive(Clone, Copy, Debug)]
    struct Service {
        accounts: u64,
        /// The place of its first account.
        origin: u64,
        /// The longest page that it gives.
        longest: u64,
    }

    impl Service {
        fn page(self, Window { start, limit }: Window) -> Page {
            let end = (start + u64::from(limit).min(self.longest)).saturating_sub(self.origin);
            let first = start.saturating_sub(self.origin);
            Page { accounts: (first..end.min(self.accounts).max(first)).map(account).collect(), unusable: 0 }
        }
    }

    /// All accounts that were read, in how many requests, and how much of the listing that was.
    fn read(service: impl Fn(Window) -> Page, principal: Principal) -> (Vec<AccountId>, usize, Extent) {
        let (mut paging, mut found) = (Paging::new(principal), Vec::new());
        for requests in 1.. {
            let mut page = service(paging.window());
            let extent = paging.take(&mut page);
            found.extend(page.accounts.into_iter().map(|account| account.account));
            if extent != Extent::More {
                assert_eq!(found.len(), paging.read());
                return (found, requests, extent);
            }
        }
        unreachable!("the number of pages is bounded")
    }

    proptest! {
        #[test]
        fn every_account_is_read_once_whatever_the_first_place_is(
            accounts in 0_u64..1_500,
            origin in 0_u64..2,
            longest in 20_u64..=200,
        ) {
            let service = Service { accounts, origin, longest };
            let (found, requests, extent) = read(|window| service.page(window), ADMIN());
            let expected: Vec<_> = (0..accounts).map(|n| account(n).account).collect();
            let whole = if accounts == 0 { Extent::Partial("the service lists no account at all") } else { Extent::Whole };
            prop_assert_eq!((found, extent), (expected, whole));
            prop_assert!(requests as u64 <= accounts.div_ceil(longest) + 2);
        }
    }

    #[test]
    fn as_many_requests_as_there_are_pages_and_one_that_shows_the_end() {
        for (accounts, expected) in [(0, 1), (1, 2), (198, 2), (1_000, 6), (10_050, 52)] {
            let service = Service { accounts, origin: 0, longest: 200 };
            assert_eq!(read(|window| service.page(window), ADMIN()).1, expected, "{accounts}");
        }
    }

    #[test]
    fn a_listing_that_does_not_end_by_itself_is_not_whole() {
        let first = Service { accounts: 500, origin: 0, longest: 200 };
        let again = read(|_| first.page(Window { start: 0, limit: 200 }), ADMIN());
        assert_eq!((again.0.len(), again.2), (200, Extent::Partial("the service shows a page again, or has no end")));
        let unusable =
            read(|Window { start, .. }| Page { unusable: if start == 0 { 3 } else { 0 }, ..Page::default() }, ADMIN());
        assert_eq!(unusable.2, Extent::Partial("some entries have no usable accountId"));
        let endless = read(|window| Page { accounts: Vec::new(), unusable: window.limit as usize }, ADMIN());
        assert!(matches!(endless.2, Extent::Partial(_)));
    }

    #[test]
    fn an_account_in_two_states_on_two_pages_makes_the_listing_unclear() {
        let shown = |start| ObservedAccount { enabled: Some(start == 0), ..account(7) };
        let page =
            |Window { start, .. }| Page { accounts: if start < 2 { vec![shown(start)] } else { vec![] }, unusable: 0 };
        assert_eq!(read(page, ADMIN()).2, Extent::Partial("an account is listed twice, with different states"));
    }

    #[test]
    fn all_of_the_listing_in_one_page_is_whole_and_a_person_has_one_page() {
        let all = |_| Service { accounts: 900, origin: 0, longest: 900 }.page(Window { start: 0, limit: 900 });
        assert_eq!(read(all, Principal::User).2, Extent::Whole);
        // It ignores what it is asked for: that its end is the end is not known.
        assert_eq!(read(all, ADMIN()).0.len(), 900);
    }

    #[test]
    fn a_page_that_takes_too_long_is_asked_for_in_shorter_ones() {
        let mut paging = Paging::new(ADMIN());
        let limits: Vec<_> = std::iter::from_fn(|| paging.shorten().then(|| paging.window().limit)).collect();
        assert_eq!(limits, [100, 50, 25]);
        assert_eq!(paging.window(), Window { start: 0, limit: 25 });
    }
}
