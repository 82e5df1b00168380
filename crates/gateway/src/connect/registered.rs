//! What an account may register: pages to which a browser is sent back, and origins whose pages are told
//! what came of a link. Each is registered as a browser writes it, so that comparing texts compares places.

use claviger_outbound::Target;

/// Characters of one, at most.
const LONGEST: usize = 2_048;

/// Why a text cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unregistrable {
    /// It is no page.
    #[error(
        "must be a URL such as https://app.example.com/connected, without user and `#`, written as a browser writes it"
    )]
    Page,
    /// It is no origin.
    #[error(
        "must be an origin such as https://app.example.com, without a path and a port that goes without saying"
    )]
    Origin,
    /// Others could read it on its way.
    #[error("must begin with https://, but for pages of the machine itself")]
    Clear,
}

/// Checks a page.
pub(crate) fn check_page(text: &str) -> Result<(), Unregistrable> {
    let target = Target::parse(text).map_err(|_| Unregistrable::Page)?;
    if text.len() > LONGEST || target.url() != text {
        return Err(Unregistrable::Page);
    }
    check_privacy(&target)
}

/// Checks an origin.
pub(crate) fn check_origin(text: &str) -> Result<(), Unregistrable> {
    let whole = format!("{text}/");
    let target = Target::parse(&whole).map_err(|_| Unregistrable::Origin)?;
    // A star is a name to a parser of URLs, and everybody to a browser.
    let is_bare = whole.matches('/').count() == 3 && !whole.contains(['?', '*']);
    if target.url() != whole || !is_bare {
        return Err(Unregistrable::Origin);
    }
    check_privacy(&target)
}

fn check_privacy(target: &Target) -> Result<(), Unregistrable> {
    if target.is_encrypted() || target.is_local() {
        Ok(())
    } else {
        Err(Unregistrable::Clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_as_a_browser_writes_it() {
        for text in [
            "https://app.example.com/",
            "https://app.example.com/connected?tenant=1",
            "http://localhost:3000/done",
            "http://127.0.0.1:3000/done",
        ] {
            assert_eq!(check_page(text), Ok(()), "{text}");
        }
        for text in [
            "https://app.example.com",
            "https://APP.example.com/",
            "https://app.example.com:443/",
            "https://app.example.com/a/../b",
            "https://app.example.com/#x",
            "https://user@app.example.com/",
            "https://app.example.com\\@evil.test/",
            "javascript:alert(1)",
            "data:text/html,x",
            "//app.example.com/",
            "",
        ] {
            assert_eq!(check_page(text), Err(Unregistrable::Page), "{text}");
        }
        let clear = check_page("http://app.example.com/");
        assert_eq!(clear, Err(Unregistrable::Clear));
    }

    #[test]
    fn an_origin_has_no_path_and_is_never_a_star() {
        for text in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:3000",
        ] {
            assert_eq!(check_origin(text), Ok(()), "{text}");
        }
        for text in [
            "*",
            "null",
            "https://*",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://app.example.com?x",
            "https://app.example.com:443",
            "https://App.example.com",
            "https://u@app.example.com",
            "",
        ] {
            assert_eq!(check_origin(text), Err(Unregistrable::Origin), "{text}");
        }
        let clear = check_origin("http://app.example.com");
        assert_eq!(clear, Err(Unregistrable::Clear));
    }
}
