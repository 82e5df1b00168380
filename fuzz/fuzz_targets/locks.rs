//! What keys are locked to, and what is presented: origins and addresses, a line each.
#![no_main]

use claviger_domain::address::{is_within, parse_address, parse_network};
use claviger_domain::origin::{DomainPattern, host_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (lock, presented) = text.split_once('\n').unwrap_or((text, text));
    if let Some(pattern) = DomainPattern::parse(lock) {
        let written = pattern.as_str();
        assert_eq!(DomainPattern::parse(written).as_ref(), Some(&pattern));
        assert!(written.is_ascii() && written.len() <= 255);
        match written.strip_prefix("*.") {
            // A wildcard is for what is below, and not for the domain itself.
            Some(domain) => {
                assert!(pattern.matches(&format!("a.{domain}")));
                assert!(!pattern.matches(domain));
                assert!(!pattern.matches(&format!("a{domain}")));
            }
            None => {
                let origin = format!("https://{written}:8443/path?query#part");
                assert!(host_of(&origin).is_some_and(|host| pattern.matches(&host)));
                assert!(!pattern.matches(&format!("a.{written}")));
            }
        }
        if let Some(host) = host_of(presented)
            && pattern.matches(&host)
        {
            let domain = written.trim_start_matches("*.");
            assert!(host == domain || host.ends_with(&format!(".{domain}")));
        }
    }
    if let Some(host) = host_of(presented) {
        assert!(!host.contains(['/', '\\', '@', ':', '?', '#']));
        assert_eq!(host_of(&host).as_deref(), Some(&*host));
    }
    if let Some(network) = parse_network(lock) {
        assert_eq!(parse_network(&network.to_string()), Some(network));
        // A lock can be met: its own first address does, as it is presented.
        let first = network.network().to_string();
        let first = parse_address(&first).expect("it is an address");
        assert!(is_within(&[network], first), "{network} {first}");
    }
    if let Some(address) = parse_address(presented) {
        assert_eq!(parse_address(&address.to_string()), Some(address));
        assert!(!is_within(&[], address));
    }
});
