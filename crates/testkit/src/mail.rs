//! Mails as a [`TestApp`](crate::TestApp) sends them: into files.

use std::path::Path;

/// A mail that was sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// What it sorts by among others: the later, the greater.
    pub order: (std::time::SystemTime, std::path::PathBuf),
    /// To whom.
    pub to: String,
    /// All of it, with its lines whole.
    pub text: String,
}

impl Mail {
    /// The mails in a folder, the oldest first.
    pub(crate) fn all_in(folder: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let written = path.metadata().ok()?.modified().ok()?;
                Some((written, path))
            })
            .collect();
        files.sort();
        let read = |order: (std::time::SystemTime, std::path::PathBuf)| {
            let written = std::fs::read_to_string(&order.1).expect("a mail is text");
            Self::of(order, &written)
        };
        files.into_iter().map(read).collect()
    }

    fn of(order: (std::time::SystemTime, std::path::PathBuf), written: &str) -> Self {
        let text = written.replace("=\r\n", "").replace("=3D", "=");
        let to = text.lines().find_map(|line| line.strip_prefix("To: "));
        Self {
            order,
            to: to.expect("a mail is to somebody").to_owned(),
            text,
        }
    }

    /// The token of its link.
    pub fn token(&self) -> &str {
        let (_, after) = self.text.split_once("?token=").expect("it has a link");
        let end = after.find(|one: char| !one.is_ascii_alphanumeric() && one != '_');
        &after[..end.unwrap_or(after.len())]
    }

    /// The eight digits of its code.
    pub fn digits(&self) -> &str {
        let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|one| one.is_ascii_digit());
        self.text.lines().find(is_code).expect("it has a code")
    }
}
