//! How a mail leaves: to a server by SMTP, or as a file.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error as SmtpError};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::outbox;

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
    /// The server says that it will never take it, and not whether the mail is why, or who sends it.
    #[error("the server refused it and does not say whose fault it is")]
    RefusedSomehow(#[source] SmtpError),
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
    /// Anybody on the way could read codes and links, and nobody said that this is meant.
    #[error(
        "does not say whether mails go in clear: smtps://…, smtp://…?tls=required, or, where the \
         server has no TLS that can be relied on, smtp://…?tls=opportunistic"
    )]
    Unsaid,
    /// It asks for no TLS, so that nobody shows a certificate.
    #[error(
        "asks for no TLS, so that mail.ca_file is of no use: smtps://…, or smtp://…?tls=required"
    )]
    NoTls,
}

/// Authorities that vouch for a server's certificate, beside the usual ones: of a company, or one that
/// signed itself.
#[derive(Clone, Debug)]
pub struct Authorities(Certificate);

/// Why a file vouches for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesFault {
    /// It is something else.
    #[error("has no certificate in PEM")]
    Empty,
    /// What looks like a certificate is none.
    #[error("has a certificate that cannot be read")]
    Broken,
}

impl Authorities {
    /// Reads them from PEM.
    pub fn read(pem: &[u8]) -> Result<Self, AuthoritiesFault> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = read.map_err(|_| AuthoritiesFault::Broken)?;
        if certificates.is_empty() {
            return Err(AuthoritiesFault::Empty);
        }
        // Here, and not where they are first needed: by then nobody could tell the file from the URL.
        let mut trusted = RootCertStore::empty();
        for certificate in certificates {
            let added = trusted.add(certificate);
            added.map_err(|_| AuthoritiesFault::Broken)?;
        }
        let read = Certificate::from_pem(pem);
        read.map(Self).map_err(|_| AuthoritiesFault::Broken)
    }
}

impl MailFault {
    /// Whether trying again may help.
    ///
    /// A server that refuses whoever sends, such as one that never heard of this address, answers as one
    /// that refuses a mailbox: where it does not say which, it is the mailbox only if `others` were taken
    /// at the same time.
    pub const fn may_pass(&self, others: bool) -> bool {
        match self {
            Self::Away(_) | Self::Timeout | Self::File(_) => true,
            Self::RefusedSomehow(_) => !others,
            Self::Refused(_) | Self::Malformed(_) | Self::Unsealed | Self::Address(_) => false,
        }
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
    pub fn smtp(url: &str, authorities: Option<&Authorities>) -> Result<Self, MailUrlFault> {
        // Whatever speaks TLS in this process has one provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut server = server(url)?;
        if let Some(authorities) = authorities {
            server = server.tls(tls(url, authorities)?);
        }
        let server = server.timeout(Some(PATIENCE)).build();
        Ok(Self::Smtp(Box::new(server)))
    }

    /// Sends a mail.
    pub(super) async fn send(&self, mail: Outgoing<'_>) -> Result<(), MailFault> {
        let (id, at) = (mail.id.to_owned(), mail.at);
        let message = message(mail)?;
        match self {
            Self::Smtp(server) => match server.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => Err(fault_of(error)),
            },
            Self::Folder(folder) => {
                let seconds = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let name = outbox::name(seconds.as_secs(), &id);
                let folder = folder.clone();
                let writing = tokio::task::spawn_blocking(move || {
                    outbox::write(&folder, &name, &message.formatted())
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
    match cover(url)? {
        Cover::Tls | Cover::Said => {}
        Cover::Password => return Err(MailUrlFault::InClear),
        Cover::Unsaid => return Err(MailUrlFault::Unsaid),
    }
    // The error could quote the URL, which has a password in it.
    AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| MailUrlFault::Malformed)
}

/// The same TLS as the URL asks for, where those authorities count as well.
fn tls(url: &str, Authorities(certificates): &Authorities) -> Result<Tls, MailUrlFault> {
    let url = Url::parse(url).map_err(|_| MailUrlFault::Malformed)?;
    let host = url.host_str().ok_or(MailUrlFault::Malformed)?;
    let mode = match asked_tls(&url).as_deref() {
        _ if url.scheme() == "smtps" => Tls::Wrapper,
        Some("required") => Tls::Required,
        Some("opportunistic") => Tls::Opportunistic,
        _ => return Err(MailUrlFault::NoTls),
    };
    let parameters = TlsParameters::builder(host.to_owned())
        .add_root_certificate(certificates.clone())
        .build()
        .map_err(|_| MailUrlFault::Malformed)?;
    Ok(mode(parameters))
}

/// What a URL says of TLS, beside its scheme.
fn asked_tls(url: &Url) -> Option<String> {
    let mut query = url.query_pairs();
    let found = query.find(|(name, _)| name == "tls");
    found.map(|(_, value)| value.into_owned())
}

/// What keeps others from reading on the way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    /// TLS, or that it is on this machine.
    Tls,
    /// As much TLS as the network lets through, which was asked for.
    Said,
    /// Nothing, or as much TLS as the network lets through, and there is a password.
    Password,
    /// Nothing, which nobody asked for.
    Unsaid,
}

fn cover(url: &str) -> Result<Cover, MailUrlFault> {
    let url = Url::parse(url).map_err(|_| MailUrlFault::Malformed)?;
    let host = url.host_str().ok_or(MailUrlFault::Malformed)?;
    let is_here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    // The first one counts, as for whoever connects.
    let asked = asked_tls(&url);
    let asks_for = |wanted: &str| asked.as_deref() == Some(wanted);
    Ok(
        if url.scheme() == "smtps" || asks_for("required") || is_here {
            Cover::Tls
        } else if url.password().is_some() {
            Cover::Password
        } else if asks_for("opportunistic") {
            Cover::Said
        } else {
            Cover::Unsaid
        },
    )
}

/// What a refusal means: only where the server says that the mailbox or the mail is why, is it so.
fn fault_of(error: SmtpError) -> MailFault {
    let code: Option<u16> = error.status().map(Into::into);
    if !matches!(code, Some(550..=554)) {
        return MailFault::Away(error);
    }
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    match is_of_mail(&said) {
        Some(true) => MailFault::Refused(error),
        Some(false) => MailFault::Away(error),
        None => MailFault::RefusedSomehow(error),
    }
}

/// Whether the enhanced code (RFC 3463) that a refusal begins with is about the mail or whom it is to;
/// none where it has none.
fn is_of_mail(said: &str) -> Option<bool> {
    let first = said.split_whitespace().next()?;
    let mut parts = first.split('.').map(|part| part.parse::<u16>().ok());
    let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || class != 5 {
        return None;
    }
    Some(matches!(
        (subject, detail),
        (1, 1..=3 | 6 | 10) | (2, _) | (3, 4)
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_to_no_server_in_clear() {
        use Cover::{Password, Said, Tls, Unsaid};
        for (url, expected) in [
            ("smtps://me:sesame@mail.example.com", Ok(Tls)),
            ("smtp://me:sesame@mail.example.com?tls=required", Ok(Tls)),
            (
                "smtp://me:sesame@mail.example.com?tls=opportunistic",
                Ok(Password),
            ),
            ("smtp://me:sesame@mail.example.com", Ok(Password)),
            ("smtp://me:sesame@127.0.0.1.example.com", Ok(Password)),
            ("smtp://me:sesame@127.0.0.1:2525", Ok(Tls)),
            ("smtp://me:sesame@[::1]:2525", Ok(Tls)),
            (
                "smtp://me:sesame@mail.example.com?tls=opportunistic&tls=required",
                Ok(Password),
            ),
            ("smtp://mail.example.com", Ok(Unsaid)),
            ("smtp://mail.example.com?tls=opportunistic", Ok(Said)),
            ("mail.example.com", Err(MailUrlFault::Malformed)),
            ("smtp:mail.example.com", Err(MailUrlFault::Malformed)),
        ] {
            assert_eq!(cover(url), expected, "{url}");
        }
        let unsaid = check_url("smtp://mail.example.com");
        assert_eq!(unsaid, Err(MailUrlFault::Unsaid));
        assert_eq!(
            check_url("smtp://mail.example.com?tls=opportunistic"),
            Ok(())
        );
        let refused = check_url("smtp://me:sesame@mail.example.com").unwrap_err();
        assert!(!refused.to_string().contains("sesame"));
        let shown = masked_url("smtps://me:sesame@mail.example.com/name?tls=required");
        let shown = shown.unwrap();
        assert_eq!(shown, "smtps://***@mail.example.com/name?tls=required");
        assert_eq!(masked_url(&shown), Some(shown));
        let refused = check_url("https://me:sesame@mail.example.com?tls=required");
        assert_eq!(refused, Err(MailUrlFault::Malformed));
    }

    #[test]
    fn a_refusal_is_of_the_mail_where_the_server_says_so() {
        for (said, expected) in [
            ("5.1.1 no such mailbox", Some(true)),
            ("5.2.2 mailbox full", Some(true)),
            ("5.3.4 message too big", Some(true)),
            ("5.7.1 relaying denied", Some(false)),
            ("5.1.8 sender unknown", Some(false)),
            ("5.7.25 no reverse name", Some(false)),
            ("4.2.2 mailbox full", None),
            ("client host blocked", None),
            ("192.0.2.1 is blocked", None),
            ("5.1 no such mailbox", None),
            ("", None),
        ] {
            assert_eq!(is_of_mail(said), expected, "{said}");
        }
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
