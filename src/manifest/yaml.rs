//! Values as YAML, for `-o yaml`.
//!
//! In: anything that serialises. Out: a text that ends with a newline. Here because no other
//! room knows `serde_yaml`.

use serde::Serialize;

/// A value that YAML cannot express.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be written as YAML")]
pub struct NotYaml(#[from] serde_yaml::Error);

/// Writes `value` as a YAML document.
///
/// # Errors
/// Only if the value's own `Serialize` fails, or nests enums in a way YAML has no form for.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, NotYaml> {
    Ok(serde_yaml::to_string(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;

    #[test]
    fn ids_stay_strings_in_yaml() {
        let id = AccountId::new(2_560_636_000_000_008_002).unwrap();
        assert_eq!(to_yaml(&[id]).unwrap(), "- '2560636000000008002'\n");
    }
}
