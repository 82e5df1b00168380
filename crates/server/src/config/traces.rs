//! Where traces go, and how many of them.

use anyhow::{Result, bail};
use http::Uri;

use super::settings::TracesSettings;

/// Whether this build can send traces.
pub(super) const IS_BUILT: bool = cfg!(feature = "opentelemetry");

/// Where traces go, and how many of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The collector's URL, without a slash at the end.
    pub endpoint: String,
    /// How many of all are told, from 0 to 1.
    pub ratio: f64,
}

impl Traces {
    pub(super) fn in_force(settings: TracesSettings) -> Result<Option<Self>> {
        let ratio = settings.ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&ratio) {
            bail!("traces.ratio {ratio} is not from 0 to 1");
        }
        let Some(endpoint) = settings.otlp_endpoint else {
            return Ok(None);
        };
        if !IS_BUILT {
            bail!(
                "traces.otlp_endpoint is given, and this build has no OpenTelemetry: build with \
                 --features opentelemetry"
            );
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = endpoint.parse().ok();
        let is_web = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
        });
        if !is_web {
            bail!("traces.otlp_endpoint is no URL such as http://127.0.0.1:4318");
        }
        Ok(Some(Self { endpoint, ratio }))
    }

    /// The URL without what stands before an `@`, which may be a credential.
    pub(super) fn shown(&self) -> String {
        let (scheme, rest) = self.endpoint.split_once("://").unwrap_or_default();
        let (_, host) = rest.rsplit_once('@').unwrap_or_default();
        if host.is_empty() {
            self.endpoint.clone()
        } else {
            format!("{scheme}://***@{host}")
        }
    }
}
