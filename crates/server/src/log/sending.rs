//! Sending traces to a collector, over HTTP. One that is away or slow holds nobody up: what does not
//! fit into the queue is dropped.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tokio::runtime::Handle;

use super::traces::RequestSpans;
use crate::config::Traces;

/// Spans that wait to be sent, at most; about 1 KiB each.
const QUEUE: usize = 4_096;
/// Spans in one request to the collector, and how long they wait for others.
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(2);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last spans may take when the program stops.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// What sends spans, until it is stopped.
#[derive(Debug)]
pub(super) struct Sending(SdkTracerProvider);

impl Sending {
    /// Begins to send, and gives what makes spans of requests.
    pub(super) fn start(traces: &Traces, runtime: Handle) -> Result<(Self, RequestSpans)> {
        // A process has one provider; that it has been chosen already is no failure.
        drop(rustls::crypto::ring::default_provider().install_default());
        #[expect(
            clippy::disallowed_methods,
            reason = "the collector is named by whoever runs the program, and mostly beside it"
        )]
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("cannot send traces")?;
        let collector = Collector {
            client,
            runtime,
            is_failing: AtomicBool::new(false),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(format!("{}/v1/traces", traces.endpoint))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .build()
            .context("cannot send traces")?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name("claviger")
            .with_attribute(version);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::TraceIdRatioBased(traces.ratio))
            .with_resource(resource.build())
            .build();
        let spans = RequestSpans::new(provider.tracer("claviger"), traces.ratio);
        Ok((Self(provider), spans))
    }

    /// Sends what waits, and stops.
    pub(super) fn stop(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_SPANS) {
            let error = &error as &dyn Error;
            tracing::warn!(error, "the last traces were not sent");
        }
    }
}

/// The collector, over the program's own HTTP: what calls it is a thread without a runtime.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let status = answer.status();
            Ok((status, answer.bytes().await?))
        });
        // The URL may have a credential in it.
        let sent = sending.await?.map_err(reqwest::Error::without_url);
        let is_taken = matches!(&sent, Ok((status, _)) if status.is_success());
        // A line for the first failure and for the end of them.
        let has_failed = self.is_failing.swap(!is_taken, Ordering::Relaxed);
        match &sent {
            Ok(_) if is_taken && has_failed => tracing::info!("the collector takes traces again"),
            Ok((status, _)) if !is_taken && !has_failed => {
                let status = status.as_u16();
                tracing::warn!(status, "the collector refuses traces, they are dropped");
            }
            Err(error) if !has_failed => {
                let error = error as &dyn Error;
                tracing::warn!(error, "the collector is away, traces are dropped");
            }
            _ => {}
        }
        let (status, body) = sent?;
        Ok(http::Response::builder().status(status).body(body)?)
    }
}
