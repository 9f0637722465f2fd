//! Paths as a code host knows them: relative to the top of the repository, whatever folder a pipeline works in.

use std::path::{Component, Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::Finding;
use crate::manifest::Problem;

/// Where the repository is, and where this program was started.
#[derive(Default)]
pub(super) struct Repository {
    /// The top as the pipeline calls it, and as the system does.
    tops: Vec<PathBuf>,
    here: PathBuf,
}

impl Repository {
    /// The checkout that the first of the `variables` names which is set; none outside of a pipeline.
    pub(super) fn of_pipeline(variables: &[&str]) -> Self {
        let top = variables.iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
        let Some(top) = top.map(PathBuf::from).filter(|top| top.is_absolute()) else { return Self::default() };
        let tops = [Some(plain(&top)), top.canonicalize().ok()].into_iter().flatten().collect();
        Self { tops, here: std::env::current_dir().unwrap_or_default() }
    }

    /// `path`, relative to the top where it is beneath it; else as it is, without a leading `./`.
    pub(super) fn path(&self, path: &str) -> String {
        let given = Path::new(path);
        let absolute = plain(&self.here.join(given));
        let inside = self.tops.iter().find_map(|top| absolute.strip_prefix(top).ok());
        inside.unwrap_or_else(|| given.strip_prefix(".").unwrap_or(given)).to_string_lossy().into_owned()
    }
}

/// `path` without `.` and `..`, as far as its text tells.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.parent().is_some() => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

/// For each problem a name that stays the same while lines move: of its path, code and field, and its number among
/// those that share these. Paired with the problem, and its path in the repository.
pub(super) fn fingerprinted<'f>(
    findings: &'f [Finding],
    repository: &Repository,
) -> impl Iterator<Item = (&'f Finding, String, String)> {
    let mut seen = std::collections::BTreeMap::new();
    findings.iter().map(move |finding| {
        let Problem { code, field, .. } = &finding.problem;
        let path = repository.path(&finding.problem.path);
        let mut hash = Xxh3::new();
        for part in [&*path, code.as_str(), field] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        let same = seen.entry(hash.digest128()).or_insert(0_u32);
        hash.update(&same.to_be_bytes());
        *same += 1;
        (finding, path, format!("{:032x}", hash.digest128()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_the_top_of_the_repository_wherever_the_program_was_started() {
        let at = |here: &str| Repository { tops: vec!["/ws/repo".into()], here: here.into() };
        for (here, path, told) in [
            ("/ws/repo", "desired-state/a.yaml", "desired-state/a.yaml"),
            ("/ws/repo/mail", "./desired-state/a.yaml", "mail/desired-state/a.yaml"),
            ("/ws/repo/mail", "../a.yaml", "a.yaml"),
            ("/ws/repo/mail", "/ws/repo/b/../a.yaml", "a.yaml"),
            ("/ws/repo", "/elsewhere/a.yaml", "/elsewhere/a.yaml"),
            ("/elsewhere", "./a.yaml", "a.yaml"),
        ] {
            assert_eq!(at(here).path(path), told, "{path} from {here}");
        }
        assert_eq!(Repository::default().path("./-a.yaml"), "-a.yaml");
    }
}
