//! The one HTTP client for places that a caller names.
//!
//! A name is looked up once, its addresses are checked, and only those are dialled: what a resolver
//! says later does not matter. Errors have no URL in them, and those of what is refused look like
//! those of what is not there.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{LONGEST_REST, Method};
use http::{HeaderMap, StatusCode, header};
use ipnet::IpNet;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::timeout;
use url::Url;

use crate::address::is_public;
use crate::excerpt::{Secrets, excerpt};
use crate::resolver::Resolve;
use crate::target::{Host, Target, TargetFault};

/// How long a request may take as a whole.
const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const CONNECTING: Duration = Duration::from_secs(10);
/// How many connections to one receiver are kept that nothing goes over, and how long.
pub(crate) const IDLE: usize = 32;
pub(crate) const RESTING: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read; the rest is not waited for.
pub(crate) const READ: usize = 4_096;
/// Ports to which requests go, beside those that are configured.
const PORTS: [u16; 3] = [80, 443, 8443];
/// How many addresses of a name are dialled at most: whoever names them has no others tried out from here.
const MOST_DIALLED: usize = 8;
/// Without a version: a receiver is not to know which faults one has.
pub(crate) const AGENT: &str = "claviger";

/// Where requests may go.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Whether they may go to private addresses, and to any port: for development.
    pub allow_private: bool,
    /// Ports beside 80, 443 and 8443.
    pub ports: Vec<u16>,
    /// Private networks to which they may go nevertheless: but to nothing of this machine.
    pub networks: Vec<IpNet>,
    /// What links to this program begin with: no request goes back to it.
    pub own_url: Option<String>,
    /// Where this program listens, for whatever.
    pub own_addresses: Vec<SocketAddr>,
}

/// Why there is no answer: all that is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No request goes there, as its text says already: what a name is looked up to is told to nobody.
    #[error("blocked")]
    Blocked,
    /// Nothing answers there, or not in HTTP.
    #[error("unreachable")]
    Unreachable,
    /// It takes too long.
    #[error("timeout")]
    Timeout,
    /// Its certificate, or how it encrypts, is not good.
    #[error("tls")]
    Tls,
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its verb.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What was answered, as far as it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// When to come again, where the answer says so.
    pub retry_at: Option<Timestamp>,
    /// The beginning of the body, harmless.
    pub excerpt: String,
}

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// For how many seconds it is good, where the answer says so.
    pub max_age: Option<i64>,
    /// The body, cut off where it is longer than was asked for.
    pub body: Vec<u8>,
}

/// The guarded client.
#[derive(Clone, Debug)]
pub struct Client {
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
}

/// A client for one receiver, whose addresses were checked.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    http: reqwest::Client,
    url: Url,
}

impl Client {
    /// A client that goes where `guard` lets it.
    pub fn new(guard: Guard, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            guard: Arc::new(guard),
            resolver,
            tls: Arc::new(tls()),
        }
    }

    /// Reads the URL of a receiver; a port to which no request would go is a fault already.
    pub fn target(&self, url: &str) -> Result<Target, TargetFault> {
        let target = Target::parse(url)?;
        if self.may_use(target.port()) {
            Ok(target)
        } else {
            Err(TargetFault::Port)
        }
    }

    /// Sends one request.
    pub async fn send(
        &self,
        target: &Target,
        outgoing: Outgoing,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let sending = async { self.receiver(target).await?.send(outgoing, now).await };
        timeout(PATIENCE, sending)
            .await
            .unwrap_or(Err(Refusal::Timeout))
    }

    /// Fetches what is there, as far as it is no longer than `most` bytes.
    pub async fn fetch(&self, target: &Target, most: usize) -> Result<Fetched, Refusal> {
        let fetching = async { self.receiver(target).await?.fetch(most).await };
        timeout(PATIENCE, fetching)
            .await
            .unwrap_or(Err(Refusal::Timeout))
    }

    /// Looks a receiver up, and checks where it is.
    pub(crate) async fn receiver(&self, target: &Target) -> Result<Receiver, Refusal> {
        let addresses = self.checked(target).await?;
        let http = self
            .pinned(target, &addresses)
            .map_err(|_| Refusal::Unreachable)?;
        let url = Url::parse(target.url()).map_err(|_| Refusal::Unreachable)?;
        Ok(Receiver { http, url })
    }

    /// Looks a target up, and gives those of its addresses to which requests may go.
    pub(crate) async fn checked(&self, target: &Target) -> Result<Vec<SocketAddr>, Refusal> {
        timeout(CONNECTING, self.addresses(target))
            .await
            .unwrap_or(Err(Refusal::Timeout))
    }

    /// How certificates are checked.
    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// Whether a credential may go to a receiver as it is: over TLS, to a private network that is configured by
    /// its address, or anywhere while somebody develops.
    pub fn may_have_credentials(&self, target: &Target) -> bool {
        let is_named = || match target.host() {
            Host::Address(address) => {
                let ip = address.to_canonical();
                self.guard
                    .networks
                    .iter()
                    .any(|network| network.contains(&ip))
            }
            Host::Name(_) => false,
        };
        target.is_encrypted() || self.guard.allow_private || is_named()
    }

    fn may_use(&self, port: u16) -> bool {
        self.guard.allow_private || PORTS.contains(&port) || self.guard.ports.contains(&port)
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Refusal> {
        let port = target.port();
        if !self.may_use(port) || self.is_own(target) {
            return Err(Refusal::Blocked);
        }
        // A name of somewhere inside is refused as one that nobody has, or names could be tried out.
        let (found, refusal) = match target.host() {
            Host::Address(address) => (vec![*address], Refusal::Blocked),
            Host::Name(name) => {
                let found = self.resolver.resolve(name).await;
                let refusal = Refusal::Unreachable;
                (found.map_err(|_| refusal)?, refusal)
            }
        };
        let allowed = found
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .filter(|address| self.may_dial(*address));
        let allowed: Vec<_> = allowed.take(MOST_DIALLED).collect();
        if allowed.is_empty() {
            return Err(refusal);
        }
        Ok(allowed)
    }

    fn may_dial(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        // Where nothing private is allowed, no service of this machine is: not on another port either.
        let is_named = || {
            self.guard
                .networks
                .iter()
                .any(|network| network.contains(&ip))
        };
        let is_foreign = || (is_public(address.ip()) || is_named()) && !is_of_this_machine(ip);
        !self.is_own_address(ip, address.port()) && (self.guard.allow_private || is_foreign())
    }

    fn is_own_address(&self, ip: IpAddr, port: u16) -> bool {
        let mut own = self.guard.own_addresses.iter();
        own.any(|own| {
            own.port() == port
                && (own.ip().to_canonical() == ip
                    // Whoever dials no address in particular dials this machine.
                    || ip.is_unspecified()
                    || own.ip().is_unspecified() && is_of_this_machine(ip))
        })
    }

    fn is_own(&self, target: &Target) -> bool {
        let own = self.guard.own_url.as_deref().map(Target::parse);
        own.and_then(Result::ok).is_some_and(|own| {
            // On whatever port: what listens beside this program is nobody's receiver either.
            let name = |target: &Target| match target.host() {
                Host::Name(name) => name.trim_end_matches('.').to_owned(),
                Host::Address(address) => address.to_string(),
            };
            // Who develops has receivers on the machine that the program runs on.
            let is_elsewhere = self.guard.allow_private
                && own.port() != target.port()
                && !PORTS.contains(&target.port());
            name(&own) == name(target) && !is_elsewhere
        })
    }

    /// A client that dials these addresses, and looks nothing up.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the guarded client that all else is to use"
    )]
    fn pinned(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
    ) -> Result<reqwest::Client, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            .dns_resolver(NoResolver)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .user_agent(AGENT)
            .connect_timeout(CONNECTING)
            .pool_max_idle_per_host(IDLE)
            .pool_idle_timeout(RESTING)
            .timeout(PATIENCE)
            .tls_backend_preconfigured(ClientConfig::clone(&self.tls));
        if let Host::Name(name) = target.host() {
            http = http.resolve_to_addrs(name, addresses);
        }
        http.build()
    }
}

impl Receiver {
    /// Sends one request.
    pub(crate) async fn send(&self, outgoing: Outgoing, now: Timestamp) -> Result<Answer, Refusal> {
        let method = match outgoing.method {
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
        };
        let secrets = Secrets::of(&outgoing.headers);
        let request = self
            .http
            .request(method, self.url.clone())
            .headers(outgoing.headers)
            .body(outgoing.body);
        let mut response = request.send().await.map_err(|error| why(&error))?;
        let retry_at = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| retry_at(value.to_str().ok()?, now));
        let body = beginning(&mut response, READ).await;
        Ok(Answer {
            status: response.status(),
            retry_at,
            excerpt: excerpt(&body, &secrets),
        })
    }

    async fn fetch(&self, most: usize) -> Result<Fetched, Refusal> {
        let request = self.http.get(self.url.clone());
        let mut response = request.send().await.map_err(|error| why(&error))?;
        let headers = response.headers().get_all(header::CACHE_CONTROL);
        let max_age = headers
            .iter()
            .find_map(|value| max_age(value.to_str().ok()?));
        Ok(Fetched {
            status: response.status(),
            max_age,
            body: beginning(&mut response, most).await,
        })
    }
}

/// The body of an answer, up to so many bytes. What was answered counts, even when the rest of it does not
/// arrive.
async fn beginning(response: &mut reqwest::Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < most
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
    }
    body
}

/// For how many seconds an answer is good, by its `Cache-Control`.
fn max_age(text: &str) -> Option<i64> {
    let directives = text.split(',').map(str::trim);
    let mut ages = directives.filter_map(|one| one.strip_prefix("max-age="));
    ages.next()?.parse::<u32>().ok().map(i64::from)
}

/// Whether an address is one of this machine's: nobody can listen on another's.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

/// A name that was not looked up beforehand is not looked up at all.
#[derive(Debug)]
struct NoResolver;

impl reqwest::dns::Resolve for NoResolver {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        Box::pin(async { Err(refused.into()) })
    }
}

/// How receivers' certificates are checked: as the machine does, and where it has no roots, such as in
/// a container, by those that are compiled in.
fn tls() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what these versions need")
    };
    if let Ok(verified) = builder().with_platform_verifier() {
        return verified.with_no_client_auth();
    }
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
    builder()
        .with_root_certificates(roots.collect::<RootCertStore>())
        .with_no_client_auth()
}

/// The one word that is told of an error of the client's.
fn why(error: &reqwest::Error) -> Refusal {
    if error.is_timeout() {
        return Refusal::Timeout;
    }
    word(error)
}

/// The one word that is told of an error.
pub(crate) fn word(error: &(dyn Error + 'static)) -> Refusal {
    for cause in successors(Some(error), |&error| error.source()) {
        let of_input = cause.downcast_ref::<io::Error>();
        if of_input.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Refusal::Timeout;
        }
        if is_of_tls(cause) {
            return Refusal::Tls;
        }
    }
    Refusal::Unreachable
}

/// Whether an error is one of TLS, also inside those of input and output, which show the cause of what
/// they wrap and not that itself.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_of_tls(inner))
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_at(text: &str, now: Timestamp) -> Option<Timestamp> {
    let at = if let Ok(seconds) = text.trim().parse::<u64>() {
        let longest = LONGEST_REST.unsigned_abs();
        now.plus_seconds(seconds.min(longest).cast_signed())
    } else {
        let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
        Timestamp::from_micros(date.timestamp().as_microsecond())
    };
    (at > now).then(|| at.min(now.plus_seconds(LONGEST_REST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_in_seconds_or_by_a_date_when_to_come_again() {
        let now = Timestamp::from_micros(1_445_412_400_000_000);
        assert_eq!(retry_at("30", now), Some(now.plus_seconds(30)));
        let date = retry_at("Wed, 21 Oct 2015 07:28:00 GMT", now);
        assert_eq!(date, Some(now.plus_seconds(80)));
        assert_eq!(
            retry_at("99999999999", now),
            Some(now.plus_seconds(LONGEST_REST))
        );
        for wrong in ["0", "-5", "soon", "Wed, 21 Oct 2010 07:28:00 GMT"] {
            assert_eq!(retry_at(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_says_for_how_long_it_is_good() {
        for (text, seconds) in [
            (
                "public, max-age=19845, must-revalidate, no-transform",
                Some(19_845),
            ),
            ("max-age=0", Some(0)),
            ("s-maxage=60", None),
            ("no-store", None),
            ("max-age=-1", None),
            ("max-age=soon", None),
        ] {
            assert_eq!(max_age(text), seconds, "{text}");
        }
    }

    #[test]
    fn this_program_is_no_receiver() {
        let client = |guard| Client::new(guard, Arc::new(crate::SystemResolver));
        let named = client(Guard {
            own_url: Some("https://keys.example.com".to_owned()),
            ..Guard::default()
        });
        for own in [
            "https://keys.example.com/webhooks",
            "http://KEYS.example.com/",
            "https://keys.example.com:8443/",
            "https://keys.example.com./",
            "https://keys.example.com:8420/",
        ] {
            assert!(named.is_own(&Target::parse(own).unwrap()), "{own}");
        }
        let other = Target::parse("https://keys.example.org/").unwrap();
        assert!(!named.is_own(&other));
        let listening = client(Guard {
            allow_private: true,
            own_addresses: vec![
                "0.0.0.0:8420".parse().unwrap(),
                "127.0.0.1:9464".parse().unwrap(),
            ],
            ..Guard::default()
        });
        for own in [
            "127.0.0.1:8420",
            "127.9.9.9:8420",
            "[::1]:8420",
            "[::ffff:127.0.0.1]:8420",
            "0.0.0.0:8420",
            "[::]:8420",
            "127.0.0.1:9464",
            "0.0.0.0:9464",
        ] {
            assert!(!listening.may_dial(own.parse().unwrap()), "{own}");
        }
        assert!(listening.may_dial("127.0.0.1:8421".parse().unwrap()));
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(listening.may_dial(SocketAddr::new(address, 8420)));
    }

    #[test]
    fn a_network_that_is_named_is_reached_and_nothing_beside_it() {
        let networks = ["10.20.0.0/16", "127.0.0.0/8", "fd12::/16"];
        let guard = Guard {
            networks: networks.map(|network| network.parse().unwrap()).to_vec(),
            ..Guard::default()
        };
        let client = Client::new(guard, Arc::new(crate::SystemResolver));
        let may_dial = |ip: &str| client.may_dial(SocketAddr::new(ip.parse().unwrap(), 443));
        for named in ["10.20.0.1", "::ffff:10.20.255.255", "fd12::1", "1.1.1.1"] {
            assert!(may_dial(named), "{named}");
        }
        for other in [
            "10.21.0.1",
            "169.254.169.254",
            "fd13::1",
            // This machine, and what stands for a named address on the way to elsewhere.
            "127.0.0.1",
            "2002:0a14:1::",
            "64:ff9b::a14:1",
        ] {
            assert!(!may_dial(other), "{other}");
        }
        assert!(!client.may_use(8080), "on the ports of the web alone");
    }
}
