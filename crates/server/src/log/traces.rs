//! Requests as spans of OpenTelemetry: method, route and status under the names that are agreed on,
//! and nothing else of a request.

use std::fmt::Debug;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// Makes a span of each request.
pub(super) struct RequestSpans {
    tracer: SdkTracer,
    ratio: f64,
}

impl RequestSpans {
    /// Makes spans by that tracer; of traces that began elsewhere so many are told of.
    pub(super) fn new(tracer: SdkTracer, ratio: f64) -> Self {
        Self { tracer, ratio }
    }

    /// Whether a span or an event is for it: only the spans that requests have.
    pub(super) fn takes(metadata: &tracing::Metadata<'_>) -> bool {
        let is_ours = metadata.target() == "claviger_edge::layers";
        metadata.is_span() && is_ours && metadata.name() == "request"
    }

    /// Whether a trace that began elsewhere is told of. Whoever sends a request can keep it from
    /// being told of, and not make more be told of than the ratio.
    fn is_told_of(&self, parent: &SpanContext) -> bool {
        // As for traces that begin here: by the end of the trace's id.
        let id = u128::from_be_bytes(parent.trace_id().to_bytes());
        let end = u32::try_from((id >> 32) & u128::from(u32::MAX)).expect("it has 32 bits");
        parent.is_sampled() && f64::from(end) < self.ratio * f64::from(u32::MAX)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RequestSpans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let within = match fields.parent.as_deref().and_then(parent_of) {
            Some(parent) if self.is_told_of(&parent) => {
                Context::new().with_remote_span_context(parent)
            }
            Some(_) => return,
            None => Context::new(),
        };
        let method = known_method(&fields.method);
        let builder = self.tracer.span_builder(method).with_kind(SpanKind::Server);
        let builder = builder.with_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("claviger.request.id", fields.id),
        ]);
        let span = builder.start_with_context(&self.tracer, &within);
        if let Some(here) = context.span(id) {
            here.extensions_mut().insert(Told { span, method });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        if let Some(here) = context.span(id)
            && let Some(told) = here.extensions_mut().get_mut::<Told>()
        {
            values.record(told);
        }
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        if let Some(here) = context.span(&id)
            && let Some(mut told) = here.extensions_mut().remove::<Told>()
        {
            told.span.end();
        }
    }
}

/// Reads the parent that a request tells of; its form was checked.
fn parent_of(told: &str) -> Option<SpanContext> {
    let mut parts = told.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}

/// What a request's span begins with.
#[derive(Default)]
struct Fields {
    id: String,
    method: String,
    parent: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "id" => value.clone_into(&mut self.id),
            "method" => value.clone_into(&mut self.method),
            "traceparent" => self.parent = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// A request's span as it is told of.
struct Told {
    span: Span,
    method: &'static str,
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        // What matched no route has none.
        if field.name() == "route" && value.starts_with('/') {
            self.span.update_name(format!("{} {value}", self.method));
            let route = KeyValue::new("http.route", value.to_owned());
            self.span.set_attribute(route);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() != "status" {
            return;
        }
        let status = i64::try_from(value).unwrap_or(i64::MAX);
        self.span
            .set_attribute(KeyValue::new("http.response.status_code", status));
        if status >= 500 {
            self.span.set_status(Status::error(""));
            self.span
                .set_attribute(KeyValue::new("error.type", status.to_string()));
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// The methods that there are: what else a request calls its own is `_OTHER`.
fn known_method(method: &str) -> &'static str {
    let known = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
    ];
    let found = known.into_iter().find(|known| *known == method);
    found.unwrap_or("_OTHER")
}
