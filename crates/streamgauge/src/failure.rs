//! How a command ends: its exit code, and the one line that says what, where, and how to mend it.

use std::fmt;
use std::process::ExitCode;

/// Done.
pub const DONE: u8 = 0;
/// Failed: nothing that the caller wrote is to blame.
pub const FAILED: u8 = 1;
/// Wrong use, or input that cannot be accepted.
pub const WRONG: u8 = 2;
/// The answer is no.
pub const NO: u8 = 3;

/// What the caller wrote is wrong: arguments, configuration, a file. Ends with exit code 2.
#[derive(Debug)]
pub struct WrongInput(String);

impl fmt::Display for WrongInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for WrongInput {}

/// An error that ends with exit code 2.
pub fn wrong(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(WrongInput(message.into()))
}

/// Prints the error to stderr and gives the exit code. A closed pipe (`| head`) is no error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let closed_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe);
    if closed_pipe {
        return ExitCode::from(DONE);
    }
    let text = format!("{error:#}").replace('\n', " ");
    print_line(&format!("error: {text}"));
    let code = if error.chain().any(|cause| cause.is::<WrongInput>()) { WRONG } else { FAILED };
    ExitCode::from(code)
}

/// A closed stderr must not turn an error into a panic.
fn print_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
