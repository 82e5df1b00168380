//! An endpoint that the usage of a period is posted to, in parts that it can tell apart.

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use claviger_domain::webhook::Method;
use claviger_edge::Core;
use claviger_outbound::{Outgoing, Target};
use claviger_store::usage::export::{self, Keys};
use claviger_store::usage_exports::{self, Progress};
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use super::lease::Lease;
use super::{KEYS, Period};
use crate::config::{ExportFormat, Secret};

/// Where parts go.
pub(super) struct Endpoint<'a> {
    pub(super) core: &'a Core,
    pub(super) url: &'a str,
    pub(super) authorization: Option<&'a Secret>,
    pub(super) format: ExportFormat,
}

impl Endpoint<'_> {
    /// Sends the parts of a period that were not taken yet, and at last how many there were. A part whose
    /// answer was lost is sent again under the same `Idempotency-Key`.
    pub(super) async fn send(&self, period: &Period, lease: &Lease<'_>) -> Result<i64> {
        let (core, name) = (self.core, period.to_string());
        // The fault has no URL in it.
        let target = core.webhooks.client().target(self.url);
        let target = target.map_err(|fault| anyhow!("usage_export.to {fault}"))?;
        let begun = usage_exports::find(&core.db, &name).await?;
        let mut progress = begun.unwrap_or_default();
        let days = period.days();
        loop {
            let wanted = match &progress.until {
                Some(until) => Keys::Between(&progress.after, until),
                None => Keys::Next(&progress.after, KEYS),
            };
            let (keys, last) = export::part(&core.db, &days, wanted).await?;
            let Some(next) = progress.until.clone().or(last) else {
                break;
            };
            if !keys.is_empty() {
                // Before it is sent: whoever sends it again sends the same keys.
                progress.until = Some(next.clone());
                lease.note(period, &progress).await?;
                let part = progress.parts + 1;
                let body = self.format.header() + &self.format.lines(period, &keys)?;
                let content_type = self.format.content_type();
                self.post(&target, &name, &part.to_string(), content_type, body)
                    .await?;
                progress.parts = part;
                progress.rows += i64::try_from(keys.len()).context("a part has few rows")?;
            }
            (progress.after, progress.until) = (next, None);
            lease.note(period, &progress).await?;
        }
        let Progress { parts, rows, .. } = progress;
        let end = json!({"period": name, "parts": parts, "rows": rows}).to_string();
        self.post(&target, &name, "end", "application/json", end)
            .await?;
        Ok(rows)
    }

    async fn post(
        &self,
        target: &Target,
        period: &str,
        part: &str,
        content_type: &'static str,
        body: String,
    ) -> Result<()> {
        let text =
            |text: &str| HeaderValue::try_from(text).context("a header has other characters");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("idempotency-key", text(&format!("usage-{period}-{part}"))?);
        headers.insert("claviger-export-period", text(period)?);
        headers.insert("claviger-export-part", text(part)?);
        if let Some(authorization) = self.authorization {
            let mut value = HeaderValue::try_from(authorization.expose()).map_err(|_| {
                anyhow!("usage_export.authorization has characters that no header has")
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let outgoing = Outgoing {
            method: Method::Post,
            headers,
            body: Bytes::from(body),
        };
        let sent = self
            .core
            .webhooks
            .client()
            .send(target, outgoing, self.core.now());
        let answer = sent
            .await
            .map_err(|refusal| anyhow!("no answer: {refusal}"))?;
        if !answer.status.is_success() {
            bail!(
                "part {part} of {period} was answered with {}",
                answer.status
            );
        }
        Ok(())
    }
}
