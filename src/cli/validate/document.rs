//! `-o json`: everything, for scripts.

use serde::Serialize;

use super::{Checked, Files, Finding};
use crate::status::API_VERSION;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    files: &'a Files,
    accounts: usize,
    notes: &'a [String],
    problems: &'a [Finding],
}

pub(super) fn document(checked: &Checked) -> Document<'_> {
    let Checked { problems, files, accounts, notes } = checked;
    Document { api_version: API_VERSION, kind: "Validation", files, accounts: *accounts, notes, problems }
}
