//! Serving: from the first byte that is listened for to a stop that loses nothing.

mod begun;
mod connections;
mod from_memory;
mod head;
mod signals;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use claviger_edge::Core;
use claviger_gateway::mcp::hosts::Hosts;
use claviger_store::usage;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::assemble::{Assembled, Parts, assemble};
use crate::bootstrap::{Bootstrap, Handover};
use crate::config::Config;
use crate::connector::read_folder;
use crate::data_directory::DataDirectory;
use crate::instance::{Instance, local_url, outbox, public_url};
use crate::jobs::{self, JobFigures};
use crate::metrics::Metrics;
use crate::output::print;
use crate::system::Outside;
use crate::upkeep::{discard_restore, finish_restore};
use crate::welcome::welcome;

pub(crate) use tls::certificates;

/// How long calls in flight may take when the program stops: within the ten seconds that a service
/// manager is promised, with time left to write what was counted.
const GRACE: Duration = Duration::from_secs(7);
/// How long the last writes may take.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// How long of that usage is written out of the journal; it is safe there.
const FOLDING: Duration = Duration::from_secs(1);

/// Starts, serves until a signal, and stops.
///
/// Fails before anything is served, having changed nothing; the error is a sentence for whoever
/// starts the program.
pub(crate) async fn serve(config: &Config, outside: Outside) -> Result<()> {
    // Before anything is written: what cannot listen leaves no trace.
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr().context("cannot listen")?;
    let tls = match &config.tls {
        Some(files) => Some(Tls::open(files).await?),
        None => None,
    };
    let metrics_listener = listen_for_metrics(config).await?;
    let connectors = read_folder(config.connectors.as_deref())?;
    let stop = signals::stop().context("cannot wait for signals")?;
    let mut directory = DataDirectory::open(&config.data_dir)?;
    if let Some(aside) = finish_restore(directory.path())? {
        tracing::warn!(
            "A restore that was cut short is finished now. What was there before is in {}.",
            aside.display()
        );
    }
    if let Err(error) = discard_restore(directory.path()) {
        tracing::warn!(
            error = error.to_string(),
            "What a restore left that was given up cannot be removed."
        );
    }
    let instance = match Instance::open(config, &outside, &mut directory, address).await {
        Ok(instance) => instance,
        Err(error) => {
            directory.undo();
            return Err(error);
        }
    };

    let core = instance.core.clone();
    let url = local_url(address, tls.is_some());
    let job_figures = Arc::new(JobFigures::default());
    let assembled = assemble(Parts {
        core: core.clone(),
        jobs: Arc::clone(&job_figures),
        sealing: instance.sealing,
        hosts: Hosts::new(config.public_host(), address),
        public_url: public_url(config, address),
        connectors,
        extra: outside.routes,
    });
    let Assembled { surface, gateway } = match assembled {
        Ok(assembled) => assembled,
        Err(error) => {
            core.db.close().await;
            return Err(error.into());
        }
    };
    let (stopping, stopped) = watch::channel(false);
    let serving = tokio::spawn(connections::serve(
        listener,
        tls.as_ref().map(Tls::in_force),
        surface,
        stopped.clone(),
        GRACE,
    ));
    if let Some(tls) = tls {
        tokio::spawn(tls.keep(stopped.clone()));
    }
    if let Some(listener) = metrics_listener {
        let metrics = Metrics::new(&core, Arc::clone(&job_figures));
        serve_metrics(listener, metrics, stopped.clone())?;
    }
    let (jobs, webhooks) = jobs::start(
        &core,
        &gateway,
        config.retention,
        outbox(directory.path()),
        config.usage_export.clone(),
        &job_figures,
        &stopped,
    );
    let announced = announce(config, instance.handover, &mut directory, &url);
    if announced.is_ok() {
        stop.await;
        tracing::info!("stopping: calls in flight finish, no new ones are taken");
    }
    stopping.send_replace(true);
    serving.await.context("serving failed")?;
    let counted = async {
        jobs.await;
        // The lines of calls that were cut off are written by a task of their own.
        tokio::join!(gateway.lines_written(), write_the_last(&core));
    };
    let last = async {
        // What was counted is written whatever receivers do: those have a bound of their own.
        tokio::join!(counted, webhooks);
        core.db.close().await;
    };
    if tokio::time::timeout(LAST_WRITES, last).await.is_err() {
        tracing::error!(
            patience_seconds = LAST_WRITES.as_secs(),
            "the database did not answer in time, the last second of usage may be lost"
        );
    }
    announced
}

async fn listen_for_metrics(config: &Config) -> Result<Option<TcpListener>> {
    let Some(address) = config.metrics_listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}, for metrics"))?;
    Ok(Some(listener))
}

/// Serves `/metrics` to all who reach the listener.
fn serve_metrics(
    listener: TcpListener,
    metrics: Metrics,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    let address = listener.local_addr().context("cannot listen")?;
    tracing::info!(%address, "metrics are served to everybody who reaches this address");
    let routes = metrics.open();
    // It ends when it is told to, and nobody waits for what it still answers.
    tokio::spawn(connections::serve(
        listener,
        None,
        routes,
        stopped,
        Duration::ZERO,
    ));
    Ok(())
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error says that the sender is gone, which is a stop too.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Tells that the program is ready: in `bootstrap.json`, and to whoever watches.
fn announce(
    config: &Config,
    mut handover: Handover,
    directory: &mut DataDirectory,
    url: &str,
) -> Result<()> {
    match &mut handover {
        Handover::New(bootstrap) => bootstrap.hand_over(directory, url)?,
        Handover::Done(bootstrap) => bootstrap.move_to(directory, url)?,
        Handover::TakenAway => Bootstrap::remove_headers(directory)?,
    }
    print(&welcome(&handover, url, directory.path()));
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if directory.is_open_to_others() {
        tracing::warn!(
            "Other users of this machine may look into {}: chmod 700 it.",
            directory.path().display()
        );
    }
    Ok(())
}

async fn write_the_last(core: &Core) {
    // One flush leaves what is too much for it to the next.
    loop {
        match core.verifier.flush().await {
            Ok(()) if core.verifier.unwritten() > 0 => {}
            Ok(()) => break,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the last second of usage was not written");
                break;
            }
        }
    }
    // What is left of it then is written at the next start, before that serves.
    let folding = usage::fold_all(&core.db, core.now());
    drop(tokio::time::timeout(FOLDING, folding).await);
}
