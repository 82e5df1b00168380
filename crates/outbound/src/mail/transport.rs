//! How a mail leaves: to a server by SMTP, or as a file.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error as SmtpError};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;

/// How long a server may take for one step of the conversation.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where mails go.
#[derive(Debug)]
pub enum Transport {
    /// To a server.
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    /// Into a folder, as `.eml` files that only its owner reads: where no server is configured.
    Folder(PathBuf),
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
pub enum MailFault {
    /// The server says that it will never take it.
    #[error("the server refused it for good")]
    Refused(#[source] SmtpError),
    /// The server is away, or will take it later.
    #[error("the server did not take it")]
    Away(#[source] SmtpError),
    /// The server takes too long.
    #[error("the server took too long")]
    Timeout,
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[source] io::Error),
    /// It cannot be put together, or nobody can be reached by that address.
    #[error("it cannot be put together")]
    Malformed(#[source] lettre::error::Error),
    /// What is sealed of it does not open: another master key, or a row that was tampered with.
    #[error("what it says does not open")]
    Unsealed,
    /// The address is none for mail.
    #[error("the address is none")]
    Address(#[source] AddressError),
}

/// Why a URL is none of a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailUrlFault {
    /// It is no URL, or none of mail.
    #[error("is no URL such as smtps://user:password@mail.example.com")]
    Malformed,
    /// Anybody on the way could read the password, and mails with codes in them.
    #[error("has a password, which would go in clear: smtps://…, or smtp://…?tls=required")]
    InClear,
}

impl MailFault {
    /// Whether trying again may help.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Timeout | Self::File(_))
    }
}

/// A mail to send.
pub(super) struct Outgoing<'a> {
    pub(super) id: &'a str,
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a str,
    pub(super) at: std::time::SystemTime,
    pub(super) written: super::compose::Written,
}

impl Transport {
    /// To the server of a URL such as `smtps://user:password@mail.example.com`.
    pub fn smtp(url: &str) -> Result<Self, MailUrlFault> {
        // Whatever speaks TLS in this process has one provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = server(url)?.timeout(Some(PATIENCE)).build();
        Ok(Self::Smtp(Box::new(server)))
    }

    /// Sends a mail.
    pub(super) async fn send(&self, mail: Outgoing<'_>) -> Result<(), MailFault> {
        let (id, at) = (mail.id.to_owned(), mail.at);
        let message = message(mail)?;
        match self {
            Self::Smtp(server) => match server.send(message).await {
                Ok(_) => Ok(()),
                // What is wrong with this mail, and not with how the server is reached or with whom it
                // knows us as.
                Err(error) if is_of_mail(&error) => Err(MailFault::Refused(error)),
                Err(error) => Err(MailFault::Away(error)),
            },
            Self::Folder(folder) => {
                let seconds = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let name = format!("{}-{id}.eml", seconds.as_secs());
                let folder = folder.clone();
                let writing = tokio::task::spawn_blocking(move || {
                    write(&folder, &name, &message.formatted())
                });
                let written = writing
                    .await
                    .unwrap_or_else(|error| Err(io::Error::other(error)));
                written.map_err(MailFault::File)
            }
        }
    }
}

/// Tells what is wrong with the URL of a server.
pub fn check_url(url: &str) -> Result<(), MailUrlFault> {
    server(url).map(drop)
}

/// The URL of a server without who signs in there, to be shown.
pub fn masked_url(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    if !url.username().is_empty() || url.password().is_some() {
        url.set_username("***").ok()?;
        url.set_password(None).ok()?;
    }
    Some(url.into())
}

fn server(url: &str) -> Result<AsyncSmtpTransportBuilder, MailUrlFault> {
    if would_show_password(url)? {
        return Err(MailUrlFault::InClear);
    }
    // The error could quote the URL, which has a password in it.
    AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| MailUrlFault::Malformed)
}

/// Whether a password would go over a network without TLS, or with as much of it as the network lets
/// through.
fn would_show_password(url: &str) -> Result<bool, MailUrlFault> {
    let url = Url::parse(url).map_err(|_| MailUrlFault::Malformed)?;
    let host = url.host_str().ok_or(MailUrlFault::Malformed)?;
    let is_here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let is_required = url
        .query_pairs()
        .any(|(name, value)| name == "tls" && value == "required");
    let is_covered = url.scheme() == "smtps" || is_required || is_here;
    Ok(url.password().is_some() && !is_covered)
}

/// Whether a server refuses a mail for what it is or whom it is to: the mailbox is not there, the mail
/// too large, or the like.
fn is_of_mail(error: &SmtpError) -> bool {
    let code: Option<u16> = error.status().map(Into::into);
    matches!(code, Some(550..=554))
}

fn message(mail: Outgoing<'_>) -> Result<Message, MailFault> {
    let Outgoing {
        id,
        from,
        to,
        at,
        written,
    } = mail;
    let to = Mailbox::new(None, to.parse().map_err(MailFault::Address)?);
    Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date(at)
        .from(from.clone())
        .to(to)
        .subject(written.subject)
        .multipart(MultiPart::alternative_plain_html(
            written.text,
            written.html,
        ))
        .map_err(MailFault::Malformed)
}

/// Writes a file that only its owner reads, whole or not at all.
fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut directory = fs::DirBuilder::new();
    directory.recursive(true);
    #[cfg(unix)]
    directory.mode(0o700);
    directory.create(folder)?;
    let (partial, path) = (folder.join(format!(".{name}")), folder.join(name));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_to_no_server_in_clear() {
        for (url, expected) in [
            ("smtps://me:sesame@mail.example.com", Ok(false)),
            ("smtp://me:sesame@mail.example.com?tls=required", Ok(false)),
            (
                "smtp://me:sesame@mail.example.com?tls=opportunistic",
                Ok(true),
            ),
            ("smtp://me:sesame@mail.example.com", Ok(true)),
            ("smtp://me:sesame@127.0.0.1.example.com", Ok(true)),
            ("smtp://me:sesame@127.0.0.1:2525", Ok(false)),
            ("smtp://me:sesame@[::1]:2525", Ok(false)),
            ("smtp://mail.example.com", Ok(false)),
            ("mail.example.com", Err(MailUrlFault::Malformed)),
            ("smtp:mail.example.com", Err(MailUrlFault::Malformed)),
        ] {
            assert_eq!(would_show_password(url), expected, "{url}");
        }
        let refused = check_url("smtp://me:sesame@mail.example.com").unwrap_err();
        assert!(!refused.to_string().contains("sesame"));
        let shown = masked_url("smtps://me:sesame@mail.example.com/name?tls=required");
        let shown = shown.unwrap();
        assert_eq!(shown, "smtps://***@mail.example.com/name?tls=required");
        assert_eq!(masked_url(&shown), Some(shown));
        let refused = check_url("https://me:sesame@mail.example.com?tls=required");
        assert_eq!(refused, Err(MailUrlFault::Malformed));
    }

    #[tokio::test]
    async fn nothing_that_others_chose_is_a_header_of_its_own() {
        let from: Mailbox = "Keys <keys@example.com>".parse().unwrap();
        let written = super::super::compose::Written {
            subject: "You are invited to Acme\r\nBcc: eve@example.com\r\n\r\nHello".to_owned(),
            text: ".\r\nRCPT TO:<eve@example.com>\r\n".to_owned(),
            html: String::new(),
        };
        let outgoing = Outgoing {
            id: "mal_1",
            from: &from,
            to: "ada@example.com",
            at: std::time::SystemTime::UNIX_EPOCH,
            written,
        };
        let mail = String::from_utf8(message(outgoing).unwrap().formatted()).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(head.lines().all(|line| !line.starts_with("Bcc")), "{head}");
        assert!(head.contains("To: ada@example.com") && head.contains("Message-ID: <mal_1@"));
    }
}
