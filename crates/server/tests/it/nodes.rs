//! Several programs over one PostgreSQL.

use std::path::Path;
use std::process::Command;

use claviger_testkit::postgres::Database;
use claviger_testkit::program::{run_to_end, serve};
use claviger_testkit::{Program, migrated};
use serde_json::Value;
use tempfile::tempdir;

use crate::CLAVIGER;

/// A database that a program may set up.
pub(crate) fn database() -> Database {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(migrated())
}

/// A program over that database. The keys are the same on every node, as they have to be.
pub(crate) fn node(folder: &Path, url: &str) -> Program {
    Program::start_as(command(folder, url), folder).unwrap()
}

/// Its command line.
pub(crate) fn command(folder: &Path, url: &str) -> Command {
    let mut command = serve(CLAVIGER, folder, &["--database-url", url]);
    command.env("CLAVIGER_MASTER_KEY", "ab".repeat(32));
    command
}

#[test]
fn of_nodes_that_start_at_once_one_sets_the_instance_up() {
    let database = database();
    let scratch = tempdir().unwrap();
    let folders: Vec<_> = (0..4)
        .map(|at| scratch.path().join(at.to_string()))
        .collect();
    let nodes: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = folders
            .iter()
            .map(|folder| scope.spawn(|| node(folder, database.url())))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let handed_over: Vec<_> = nodes
        .iter()
        .filter_map(|node| node.bootstrap().ok())
        .collect();
    let [bootstrap] = &handed_over[..] else {
        panic!("{} nodes set the instance up", handed_over.len());
    };
    let owner = bootstrap["accessKey"].as_str().unwrap();
    for node in &nodes {
        let (status, projects) = node.call("GET /projects", owner, &Value::Null).unwrap();
        assert_eq!(status, 200);
        assert_eq!(projects.as_array().unwrap().len(), 1, "{projects}");
    }
}

#[test]
fn a_node_without_the_instance_s_master_key_is_refused() {
    let database = database();
    let scratch = tempdir().unwrap();
    let first = node(&scratch.path().join("first"), database.url());
    let folder = scratch.path().join("second");
    let command = serve(CLAVIGER, &folder, &["--database-url", database.url()]);
    let output = run_to_end(command);
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{sentence}");
    assert!(sentence.contains("another master key"), "{sentence}");
    // The key that it drew is of no use, and would be in the way of the right one.
    assert!(!folder.exists());
    drop(first);
}
