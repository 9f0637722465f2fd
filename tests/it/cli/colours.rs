//! Colours: on a terminal, unless they are not wanted there; nowhere else, unless they are wanted.

use std::io::Read as _;
use std::process::Stdio;

use super::Place;
use crate::process::terminal;

/// What a command writes to a terminal that is its standard output.
fn on_a_terminal(place: &Place, arguments: &str, variables: &[(&str, &str)]) -> String {
    let (ours, theirs) = terminal();
    let mut command = place.command(arguments);
    command.env("TERM", "xterm-256color").envs(variables.iter().copied()).stdout(theirs).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // With the command, the last hold on the other end is gone.
    drop(command);
    let mut shown = Vec::new();
    let mut ours = std::fs::File::from(ours);
    let mut buffer = [0; 4096];
    // When everybody has closed the terminal, reading it is an error.
    while let Ok(length @ 1..) = ours.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..length]);
    }
    child.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let mut place = Place::with_alice();
    place.account("bob", 3, "enabled: yes");
    for command in ["validate", "plan --sandbox", "status --sandbox"] {
        let coloured = |variables: &[(&str, &str)]| on_a_terminal(&place, command, variables).contains("\u{1b}[");
        assert!(coloured(&[]), "{command}: none on a terminal");
        for variable in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
            assert!(!coloured(&[variable]), "{command}: in spite of {variable:?}");
        }
        assert!(!place.run(command).out.contains('\u{1b}'), "{command}: in a pipe");
    }
    let on_terminal = on_a_terminal(&place, "validate", &[("NO_COLOR", "1")]);
    assert_eq!(on_terminal.replace("\r\n", "\n"), place.run("validate").out, "the same words");
    // What machines read has no colours wherever it goes.
    for output in ["json", "name", "github", "gitlab", "sarif"] {
        let shown = on_a_terminal(&place, &format!("validate -o {output}"), &[]);
        assert!(shown.contains("bob.yaml") && !shown.contains('\u{1b}'), "{output}: {shown:?}");
    }
    place.set("CLICOLOR_FORCE", "1");
    for command in ["validate", "plan --sandbox"] {
        assert!(place.run(command).out.contains("\u{1b}["), "{command}: not even when forced");
    }
}
