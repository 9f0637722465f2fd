//! The file of settings that the unit reads: every option of `run`, in its own words, with its default.
//!
//! In: the real command line, and what the unit sets itself. Out: the file's text below its head.
//! Invariant: whoever takes the `#` off a line and changes nothing has changed nothing.

use std::fs;
use std::path::Path;

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction};

use super::settings::{built, directive};
use super::text;

/// Line length of the repository.
const WIDTH: usize = 120;

/// What the service runs with where the file says nothing.
fn default(option: &Arg, variable: &str, unit: &str, help: &str) -> String {
    let by_unit = directive(unit, "Environment").find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
    if let Some(value) = by_unit {
        return value.replace("%S", "/var/lib");
    }
    // A default that depends on something is told in words, the usual one first.
    let told = || help.split_once("[default: ")?.1.split([';', ']', ' ']).next();
    match option.get_default_values() {
        [value] => value.to_str().unwrap().to_owned(),
        _ if matches!(option.get_action(), ArgAction::SetTrue) => "false".to_owned(),
        _ => told().unwrap_or_default().to_owned(),
    }
}

/// `words` as a comment.
fn comment(words: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in words.split_whitespace() {
        if lines.last().unwrap().len() + word.len() >= WIDTH {
            lines.push("#".to_owned());
        }
        let line = lines.last_mut().unwrap();
        line.push(' ');
        line.push_str(word);
    }
    lines.join("\n") + "\n"
}

/// What one option has in the file.
fn entry(option: &Arg, unit: &str) -> Option<String> {
    let variable = option.get_env()?.to_str().unwrap();
    let help = option.get_help().unwrap().to_string();
    let value = default(option, variable, unit, &help);
    let shown = help.split(" [default: ").next().unwrap();
    let choices = option.get_possible_values();
    let choices: Vec<_> = choices.iter().filter(|choice| !choice.is_hide_set()).map(PossibleValue::get_name).collect();
    let is_choice = matches!(option.get_action(), ArgAction::Set) && !choices.is_empty();
    let choices = if is_choice { format!(" ({})", choices.join(", ")) } else { String::new() };
    // The one that has no default and is needed is there to be filled in.
    let off = if variable == "ZOHO_MAIL_ZOID" { "" } else { "#" };
    Some(format!("{}{off}{variable}={value}\n", comment(&format!("{shown}{choices}"))))
}

fn expected() -> String {
    let (command, unit) = (built(), text("systemd/zoho-mail-reconciler.service"));
    let run = command.find_subcommand("run").unwrap();
    let (mut body, mut heading) = (String::new(), None);
    for option in run.get_arguments() {
        let Some(entry) = entry(option, &unit) else { continue };
        if heading != option.get_help_heading() {
            heading = option.get_help_heading();
            body.push_str(&format!("\n## {}\n", heading.unwrap_or_default()));
        }
        body.push('\n');
        body.push_str(&entry);
    }
    body
}

#[test]
fn the_file_of_settings_has_every_option_of_run_with_its_own_words_and_default() {
    let file = text("systemd/zoho-mail-reconciler.env");
    let head = file.find("\n## ").map_or(file.as_str(), |end| &file[..end]);
    assert!(head.lines().all(|line| line.starts_with('#')), "the head is no setting");
    let expected = expected();
    assert!(expected.matches("ZOHO_MAIL_").count() > 20, "{expected}");
    let wanted = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zoho-mail-reconciler.env");
    fs::write(&wanted, format!("{head}{expected}")).unwrap();
    assert!(file[head.len()..] == expected, "should be as in {0}: cp {0} deploy/systemd/", wanted.display());
}
