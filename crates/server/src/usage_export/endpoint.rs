//! An endpoint that the usage of a period is posted to, in parts that it can tell apart.

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use claviger_domain::webhook::Method;
use claviger_edge::Core;
use claviger_outbound::{Outgoing, Target};
use claviger_store::usage::export;
use claviger_store::usage_exports::{self, Part, Progress};
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
    /// answer was lost is sent again as it was, under the same `Idempotency-Key`.
    pub(super) async fn send(&self, period: &Period, lease: &Lease<'_>) -> Result<i64> {
        let (core, name) = (self.core, period.to_string());
        // The fault has no URL in it.
        let target = core.webhooks.client().target(self.url);
        let target = target.map_err(|fault| anyhow!("usage_export.to {fault}"))?;
        let begun = usage_exports::find(&core.db, &name).await?;
        let mut progress = begun.unwrap_or_default();
        loop {
            let number = progress.parts + 1;
            let sent = usage_exports::part(&core.db, &name, number).await?;
            let (part, next) = if let (Some(part), Some(next)) = (sent, progress.until.clone()) {
                lease.keep().await?;
                (part, next)
            } else {
                let (keys, next) =
                    export::part(&core.db, &period.days(), &progress.after, KEYS).await?;
                let Some(next) = next else { break };
                if keys.is_empty() {
                    (progress.after, progress.until) = (next, None);
                    lease.note(period, &progress, None).await?;
                    continue;
                }
                let part = Part {
                    number,
                    rows: i64::try_from(keys.len()).context("a part has few rows")?,
                    content_type: self.format.content_type().to_owned(),
                    body: self.format.header() + &self.format.lines(period, &keys)?,
                };
                // Before it is sent: whoever sends it again sends the same.
                progress.until = Some(next.clone());
                lease.note(period, &progress, Some(part.clone())).await?;
                (part, next)
            };
            self.post(
                &target,
                &name,
                &number.to_string(),
                &part.content_type,
                part.body,
            )
            .await?;
            progress = Progress {
                parts: number,
                rows: progress.rows + part.rows,
                after: next,
                ..Progress::default()
            };
            lease.note(period, &progress, None).await?;
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
        content_type: &str,
        body: String,
    ) -> Result<()> {
        let text =
            |text: &str| HeaderValue::try_from(text).context("a header has other characters");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, text(content_type)?);
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
