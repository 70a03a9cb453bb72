//! The program's standard input, kept from the engine: with an insert the engine takes for rows whatever waits there.

use std::io::Read;

#[cfg(unix)]
mod kept {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::sync::OnceLock;

    static STDIN: OnceLock<Option<File>> = OnceLock::new();

    /// Moves the standard input to another descriptor, once, and leaves an empty one in its place.
    pub fn keep() {
        STDIN.get_or_init(|| {
            let kept = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
            rustix::stdio::dup2_stdin(File::open("/dev/null").ok()?).ok()?;
            Some(File::from(kept))
        });
    }

    /// The standard input where it was moved to.
    pub fn moved() -> Option<File> {
        STDIN.get()?.as_ref()?.try_clone().ok()
    }
}

#[cfg(unix)]
pub(crate) use kept::keep;

#[cfg(not(unix))]
pub(crate) fn keep() {}

/// The program's standard input, wherever it is. What was read ahead from `std::io::stdin` before the engine was
/// opened is not in it: read the one or the other.
pub fn stdin() -> Box<dyn Read + Send> {
    #[cfg(unix)]
    if let Some(file) = kept::moved() {
        return Box::new(file);
    }
    Box::new(std::io::stdin())
}
