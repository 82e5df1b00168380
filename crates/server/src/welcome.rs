//! What is printed when the program is ready: where it is, and what to do next.

use std::path::Path;

use crate::bootstrap::{Bootstrap, Member, OWNER_HEADER, VERIFIER_HEADER};

/// Which start it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The first: everything was made just now.
    FirstStart,
    /// Another.
    LaterStart,
}

/// The welcome. Its lines can be pasted into bash as they are, in any folder; credentials come from
/// files, so that none is printed or lands in a shell's history.
pub(crate) fn welcome(
    occasion: Occasion,
    url: &str,
    directory: &Path,
    bootstrap: Option<&Bootstrap>,
) -> String {
    let file = |name: &str| quote(&format!("@{}", directory.join(name).display()));
    let known = bootstrap.and_then(|known| {
        let project = known.text(Member::ProjectId)?;
        Some((project, known.text(Member::IntegratedAccountId)?))
    });
    let Some((project, connected)) = known else {
        return format!("Claviger is ready: {url}\n");
    };
    if occasion == Occasion::LaterStart {
        let folder = directory.display();
        return format!("Claviger is ready: {url}\nCredentials: {folder}/bootstrap.json\n");
    }
    let owner = file(OWNER_HEADER);
    let verifier = file(VERIFIER_HEADER);
    let folder = directory.display();
    // The key is shown on the terminal, and kept in a variable for the line that checks it.
    format!(
        r#"
Claviger is ready: {url}

An account, a project and their credentials were made in {folder}.
Paste these lines into another terminal.

Create a key for a customer of yours:

  key=$(curl -sS -H {owner} {url}/api-keys -d '{{"projectId": "{project}", "name": "First key"}}' | tee /dev/stderr | sed -n 's/.*"key":"\([^"]*\)".*/\1/p')

Check it, as your API does at each request:

  curl -sS -H {verifier} {url}/api-keys/verify -d "{{\"key\": \"$key\"}}"

Give an AI agent a URL with which it can look at keys and change none:

  curl -sS -H {owner} {url}/integrated-account/{connected}/mcp -d '{{"name": "My agent", "config": {{"methods": ["read"]}}}}'

"#
    )
}

/// Quotes a word for the shell, where it needs to be.
fn quote(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "@/._-".contains(letter);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_the_shell_would_read_them() {
        assert_eq!(quote("@/srv/keys/owner.header"), "@/srv/keys/owner.header");
        assert_eq!(quote("@/my keys/$x"), "'@/my keys/$x'");
        assert_eq!(quote("@/it's"), r"'@/it'\''s'");
    }

    #[test]
    fn without_bootstrap_json_only_the_place_is_told() {
        let text = welcome(
            Occasion::LaterStart,
            "http://[::1]:1",
            Path::new("/d"),
            None,
        );
        assert_eq!(text, "Claviger is ready: http://[::1]:1\n");
    }
}
