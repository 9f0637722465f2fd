//! The binary: hands its arguments to the command line and ends with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    zoho_mail_reconciler::cli::main(std::env::args_os())
}
