//! `completions` and `man`.

use crate::cli::Cli;
use crate::config::keys;
use clap::CommandFactory;
use std::io::Write;
use std::path::Path;

/// Writes the completion script of a shell.
pub fn completions(shell: clap_complete::Shell, out: &mut impl Write) {
    clap_complete::generate(shell, &mut Cli::command(), "streamgauge", out);
}

/// Writes the manual page to `out`, or one page per command into a folder.
///
/// # Errors
/// When the page or the folder cannot be written.
pub fn man(folder: Option<&Path>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    match folder {
        None => {
            clap_mangen::Man::new(command).render(out)?;
            out.write_all(configuration().as_bytes())?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            clap_mangen::generate_to(command, folder)?;
        }
    }
    Ok(())
}

/// The manual page's section on the configuration's keys, in roff.
fn configuration() -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('-', "\\-");
    let mut page = String::from(
        ".SH CONFIGURATION\nKeys of the file that \\-\\-config names. The environment wins over it: ",
    );
    page.push_str("STREAMGAUGE__LEAD_TIME__START sets lead_time.start.\n");
    for key in keys::KEYS {
        let default = if key.default.is_empty() { "none" } else { key.default };
        let allowed = crate::config::known::allowed(key.kind);
        let line = format!("{} ({allowed}; default: {default})", key.meaning);
        page.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escape(key.name), escape(&line)));
    }
    page
}
