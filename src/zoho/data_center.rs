//! Zoho's data centers: two hosts each, found by a short code.
//!
//! In: the code in `--data-center`. Out: the base URLs of the accounts server and of Zoho Mail.
//! Invariant: every code has both URLs, so an account's data never has to be guessed at.
//! The `api_domain` of a token answer is deliberately not used: it is not the mail host.

use std::fmt;

use super::base_url::BaseUrl;

/// Where an organization's data lives. A client, its tokens and its accounts exist in one of them only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DataCenter {
    /// United States.
    #[default]
    Us,
    /// Europe.
    Eu,
    /// India.
    In,
    /// Australia.
    Au,
    /// Japan.
    Jp,
    /// Canada.
    Ca,
    /// China.
    Cn,
    /// Saudi Arabia.
    Sa,
    /// United Kingdom.
    Uk,
    /// United Arab Emirates.
    Ae,
}

impl DataCenter {
    /// The code, as in `--data-center`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::In => "in",
            Self::Au => "au",
            Self::Jp => "jp",
            Self::Ca => "ca",
            Self::Cn => "cn",
            Self::Sa => "sa",
            Self::Uk => "uk",
            Self::Ae => "ae",
        }
    }

    /// Where tokens come from (Zoho's documentation, multi-DC support; `ae` by analogy).
    pub const fn accounts_url(self) -> BaseUrl {
        BaseUrl::known(match self {
            Self::Us => "https://accounts.zoho.com",
            Self::Eu => "https://accounts.zoho.eu",
            Self::In => "https://accounts.zoho.in",
            Self::Au => "https://accounts.zoho.com.au",
            Self::Jp => "https://accounts.zoho.jp",
            Self::Ca => "https://accounts.zohocloud.ca",
            Self::Cn => "https://accounts.zoho.com.cn",
            Self::Sa => "https://accounts.zoho.sa",
            Self::Uk => "https://accounts.zoho.uk",
            Self::Ae => "https://accounts.zoho.ae",
        })
    }

    /// Where the account API is (Zoho's documentation, multi-DC support; `ae` by analogy).
    pub const fn mail_url(self) -> BaseUrl {
        BaseUrl::known(match self {
            Self::Us => "https://mail.zoho.com",
            Self::Eu => "https://mail.zoho.eu",
            Self::In => "https://mail.zoho.in",
            Self::Au => "https://mail.zoho.com.au",
            Self::Jp => "https://mail.zoho.jp",
            Self::Ca => "https://mail.zohocloud.ca",
            Self::Cn => "https://mail.zoho.com.cn",
            Self::Sa => "https://mail.zoho.sa",
            Self::Uk => "https://mail.zoho.uk",
            Self::Ae => "https://mail.zoho.ae",
        })
    }
}

impl fmt::Display for DataCenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn each_code_leads_to_its_two_hosts() {
        let mut table = String::new();
        for center in DataCenter::value_variants() {
            table += &format!("{center} {} {}\n", center.accounts_url().host(), center.mail_url().host());
        }
        insta::assert_snapshot!(table, @"
        us accounts.zoho.com mail.zoho.com
        eu accounts.zoho.eu mail.zoho.eu
        in accounts.zoho.in mail.zoho.in
        au accounts.zoho.com.au mail.zoho.com.au
        jp accounts.zoho.jp mail.zoho.jp
        ca accounts.zohocloud.ca mail.zohocloud.ca
        cn accounts.zoho.com.cn mail.zoho.com.cn
        sa accounts.zoho.sa mail.zoho.sa
        uk accounts.zoho.uk mail.zoho.uk
        ae accounts.zoho.ae mail.zoho.ae
        ");
    }

    #[test]
    fn each_url_is_one_that_an_option_could_have_given() {
        for center in DataCenter::value_variants() {
            for url in [center.accounts_url(), center.mail_url()] {
                assert_eq!(url.as_str().parse::<BaseUrl>(), Ok(url.clone()));
                assert!(url.is_https());
            }
            assert_eq!(DataCenter::from_str(center.as_str(), false), Ok(*center));
        }
    }
}
