//! https without a proxy: certificates from files, and new ones while connections last.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use claviger_testkit::Program;
use claviger_testkit::program::{command, run_to_end, serve};
use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::tempdir;

use crate::CLAVIGER;

/// Writes a new certificate with its key, signed by itself, and gives what trusts it alone.
fn certify(folder: &Path) -> Arc<ClientConfig> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
    fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

fn connect(address: &str, config: &Arc<ClientConfig>) -> Connection {
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(client, TcpStream::connect(address).unwrap())
}

/// Asks after the program, and gives the answer's first line.
fn ask(connection: &mut Connection) -> std::io::Result<String> {
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut part = [0; 1_024];
        let length = connection.read(&mut part)?;
        answer.extend_from_slice(&part[..length]);
    }
    let answer = String::from_utf8(answer).unwrap();
    Ok(answer.lines().next().unwrap().to_owned())
}

fn flags(folder: &Path) -> [String; 4] {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    [
        "--tls-cert".to_owned(),
        file("tls.crt"),
        "--tls-key".to_owned(),
        file("tls.key"),
    ]
}

#[test]
fn a_new_certificate_is_taken_without_an_end_to_connections() {
    let scratch = tempdir().unwrap();
    let first = certify(scratch.path());
    let flags = flags(scratch.path());
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let data = scratch.path().join("data");
    let mut program = Program::start(CLAVIGER, &data, &flags).unwrap();
    let bootstrap = program.bootstrap().unwrap();
    let address = bootstrap["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://")
        .unwrap();
    let mut kept = connect(address, &first);
    assert_eq!(ask(&mut kept).unwrap(), "HTTP/1.1 200 OK");

    // A key that is of no certificate there changes nothing.
    let certificate = fs::read(scratch.path().join("tls.crt")).unwrap();
    certify(scratch.path());
    fs::write(scratch.path().join("tls.crt"), certificate).unwrap();
    program.signal("HUP").unwrap();
    program.wait_for_log("the one in force stays").unwrap();
    assert_eq!(
        ask(&mut connect(address, &first)).unwrap(),
        "HTTP/1.1 200 OK"
    );

    let second = certify(scratch.path());
    program.signal("HUP").unwrap();
    program
        .wait_for_log("the certificate was read again")
        .unwrap();
    assert_eq!(
        ask(&mut connect(address, &second)).unwrap(),
        "HTTP/1.1 200 OK"
    );
    assert!(ask(&mut connect(address, &first)).is_err());
    assert_eq!(ask(&mut kept).unwrap(), "HTTP/1.1 200 OK");

    // What is no TLS comes to no answer, and stops nobody.
    let mut plain = TcpStream::connect(address).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer));
    assert!(
        !String::from_utf8_lossy(&answer).contains("HTTP"),
        "{answer:?}"
    );
    assert_eq!(ask(&mut kept).unwrap(), "HTTP/1.1 200 OK");

    let mut arguments = vec!["health", "--listen", address];
    arguments.extend(&flags);
    let well = run_to_end(command(CLAVIGER, &arguments));
    assert_eq!(
        well.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&well.stderr)
    );
    certify(scratch.path());
    let other = run_to_end(command(CLAVIGER, &arguments));
    assert_eq!(other.status.code(), Some(1));

    drop(kept);
    let (code, said) = program.stop().unwrap();
    assert_eq!(code, 0, "{said}");
}

#[test]
fn files_without_a_certificate_and_its_key_are_refused() {
    let scratch = tempdir().unwrap();
    certify(scratch.path());
    let file = |name: &str| scratch.path().join(name);
    let key = fs::read(file("tls.key")).unwrap();
    let certificate = fs::read(file("tls.crt")).unwrap();
    certify(scratch.path());
    let others_key = fs::read(file("tls.key")).unwrap();
    let data = scratch.path().join("data");
    let rubbish = b"no PEM at all".to_vec();
    for (certificate, key, named) in [
        (
            Some(&certificate),
            Some(&others_key),
            "not the key of the certificate",
        ),
        (Some(&rubbish), Some(&key), "no certificate in PEM"),
        (Some(&certificate), Some(&rubbish), "no private key in PEM"),
        (None, Some(&key), "cannot be read"),
        (Some(&certificate), None, "cannot be read"),
    ] {
        for (name, text) in [("tls.crt", certificate), ("tls.key", key)] {
            drop(fs::remove_file(file(name)));
            if let Some(text) = text {
                fs::write(file(name), text).unwrap();
            }
        }
        let flags = flags(scratch.path());
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let refused = run_to_end(serve(CLAVIGER, &data, &flags));
        let sentence = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{sentence}");
        assert!(sentence.contains(named), "{sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        assert!(!data.exists());
    }
    let alone = ["--tls-cert", "tls.crt"];
    let refused = run_to_end(serve(CLAVIGER, &data, &alone));
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(sentence.contains("give both"), "{sentence}");
}

#[test]
fn whoever_asks_after_the_program_is_told_by_the_exit_code() {
    let scratch = tempdir().unwrap();
    let program = Program::start(CLAVIGER, scratch.path(), &[]).unwrap();
    let address = program.address().unwrap();
    let asked = || {
        let output = run_to_end(command(CLAVIGER, ["health", "--listen", &address]));
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(asked(), (Some(0), String::new()));
    program.kill().unwrap();
    let (code, sentence) = asked();
    assert_eq!(code, Some(1));
    assert!(sentence.contains(&address), "{sentence}");
}
