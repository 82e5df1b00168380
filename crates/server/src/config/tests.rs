use std::path::Path;

use super::*;

fn parse(text: &str) -> Settings {
    toml::from_str(text).unwrap()
}

fn in_force(text: &str) -> Result<Config> {
    Config::in_force(parse(text))
}

/// The default file with every setting taken out of its comment.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        let text = line.strip_prefix('#')?;
        text.starts_with(|first: char| first.is_ascii_lowercase())
            .then(|| text.to_owned())
    };
    let lines = DEFAULT_FILE.lines();
    let lines: Vec<_> = lines
        .map(|line| is_setting(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    lines.join("\n")
}

#[test]
fn the_default_file_has_every_setting_and_no_other() {
    // Its own names are known, because unknown keys are errors, and none is left out.
    let settings = parse(&uncommented());
    let Settings {
        listen,
        data_dir,
        public_url,
        trusted_proxies,
        key_cache,
        connectors,
        master_key_file,
        master_key,
        staleness_bound,
        away_bound,
        signup,
        database: DatabaseSettings { url, url_file },
        tls: TlsSettings { cert, key },
        metrics: MetricsSettings {
            listen: metrics_listen,
        },
        operator: OperatorSettings { remote },
        outbound:
            OutboundSettings {
                allow_private,
                ports,
                networks,
            },
        mail:
            MailSettings {
                url: mail_url,
                url_file: mail_url_file,
                from,
                ca_file,
            },
        firebase: FirebaseSettings { project, keys },
        log: LogSettings { filter, format },
        retention,
        traces: TracesSettings {
            otlp_endpoint,
            ratio,
        },
        usage_export,
    } = &settings;
    let UsageExportSettings {
        schedule,
        every,
        format: export_format,
        to,
        authorization,
        authorization_file,
    } = usage_export;
    assert!(schedule.is_some() && every.is_some() && export_format.is_some() && to.is_some());
    assert!(authorization.is_some() && authorization_file.is_some());
    assert!(otlp_endpoint.is_some() && ratio.is_some());
    let RetentionSettings {
        calls,
        usage_by_hour,
        usage,
        events,
        deleted,
        mails,
    } = retention;
    let kept = [calls, usage_by_hour, usage, events, deleted, mails];
    assert!(kept.iter().all(|kept| kept.is_some()));
    assert!(listen.is_some() && data_dir.is_some() && public_url.is_some());
    assert!(trusted_proxies.is_some() && key_cache.is_some() && connectors.is_some());
    assert!(master_key_file.is_some() && master_key.is_some());
    assert!(staleness_bound.is_some() && away_bound.is_some() && signup.is_some());
    assert!(url.is_some() && url_file.is_some());
    assert!(cert.is_some() && key.is_some() && metrics_listen.is_some());
    assert!(project.is_some() && keys.is_some());
    assert!(mail_url.is_some() && mail_url_file.is_some() && from.is_some());
    assert!(ca_file.is_some());
    assert!(allow_private.is_some() && ports.is_some() && networks.is_some());
    assert!(remote.is_some() && filter.is_some() && format.is_some());
}

#[test]
fn the_default_file_says_the_defaults() {
    let written = parse(&uncommented());
    let config = in_force("").unwrap();
    assert_eq!(written.listen, Some(config.listen));
    let folder = written.data_dir.unwrap();
    assert_eq!(folder.strip_prefix("./").unwrap(), config.data_dir);
    assert_eq!(written.key_cache, Some(config.key_cache));
    let periods = [written.staleness_bound, written.away_bound].map(Option::unwrap);
    let in_force = [config.bounds.staleness, config.bounds.away];
    assert_eq!(periods.map(|period| period.0), in_force);
    assert_eq!(written.signup.map(Into::into), Some(config.sign_up));
    assert_eq!(written.operator.remote, Some(config.operator_remote));
    let allow_private = written.outbound.allow_private;
    assert_eq!(allow_private, Some(config.outbound_allow_private));
    assert_eq!(written.outbound.ports, Some(config.outbound_ports));
    assert!(written.outbound.networks.unwrap().is_empty() && config.outbound_networks.is_empty());
    assert_eq!(written.mail.from, Some(config.mail_from));
    assert_eq!(written.firebase.keys, Some(config.firebase_keys));
    assert_eq!(written.log.filter, Some(config.log_filter));
    assert_eq!(written.log.format, Some(config.log_format));
    let written = Retention::in_force(&written.retention).unwrap();
    assert_eq!(written, config.retention);
}

#[test]
fn left_as_it_is_the_default_file_changes_nothing() {
    let config = in_force(DEFAULT_FILE).unwrap();
    assert_eq!(config.to_string(), in_force("").unwrap().to_string());
}

#[test]
fn what_is_in_force_is_a_configuration_file_without_secrets() {
    let config = in_force(
        "master_key = 'open sesame'\npublic_url = 'https://keys.example.com'\ntrusted_proxies = ['10.1.2.3/8', '::1']\n\
         staleness_bound = '1m 2s 3ms'\naway_bound = '0s'\n[database]\nurl = 'postgres://me:sesame@db/keys'\n\
         [tls]\ncert = 'c.pem'\nkey = 'k.pem'\n[metrics]\nlisten = '[::1]:1'\n\
         [outbound]\nallow_private = true\nports = [8080, 8081]\nnetworks = ['10.1.2.3/8']\n\
         [mail]\nurl = 'smtps://me:sesame@mail'\nfrom = 'keys@example.com'\n\
         ca_file = 'ca.pem'\n\
         [firebase]\nproject = 'acme-1'\nkeys = 'https://keys.example.com/'\n\
         [log]\nformat = 'json'\n[retention]\ncalls = '7d'\nevents = '400d'",
    );
    let shown = config.unwrap().to_string();
    assert!(!shown.contains("sesame"));
    let again = in_force(&shown).unwrap();
    assert_eq!(again.to_string(), shown);
}

#[test]
fn settings_above_go_before_those_below() {
    let above = parse("listen = '127.0.0.1:1'\n[log]\nfilter = 'debug'");
    let below = parse(
        "listen = '127.0.0.1:2'\ndata_dir = 'below'\n[log]\nformat = 'json'\n\
         [retention]\ncalls = '7d'",
    );
    let config = Config::in_force(above.over(below)).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.data_dir, Path::new("below"));
    assert_eq!(config.log_filter, "debug");
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.retention.calls, KeptFor::Days(7));
}

#[test]
fn a_secret_above_hides_the_file_below() {
    let above = parse("master_key = 'above'");
    let below = parse("master_key_file = 'below'");
    let config = Config::in_force(above.over(below)).unwrap();
    assert!(matches!(config.master_key, MasterKeySource::Given(key) if key.expose() == "above"));
}

#[test]
fn mail_is_configured_whole_or_not_at_all() {
    let mail = |before: &str, url: &str, from: &str| {
        in_force(&format!("{before}\n[mail]\nurl = '{url}'\n{from}"))
    };
    let (public, from) = (
        "public_url = 'https://keys.example.com'",
        "from = 'Keys <keys@example.com>'",
    );
    let url = "smtps://mail.example.com";
    assert_eq!(mail(public, url, from).unwrap().warnings().len(), 1);
    for (before, url, from, expected) in [
        ("", url, from, "without public_url"),
        (public, url, "", "without mail.from"),
        (public, "smtp://mail.example.com", from, "in clear"),
    ] {
        let error = mail(before, url, from).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let in_clear = mail("public_url = 'http://keys.example.com'", url, from).unwrap();
    let warnings = in_clear.warnings();
    assert!(
        warnings.iter().any(|one| one.contains("links")),
        "{warnings:?}"
    );
    // Without a server mails are files of this machine, which need neither.
    in_force("").unwrap();
}

#[test]
fn keys_of_firebase_come_encrypted_and_for_a_project() {
    for (text, fault) in [
        ("[firebase]\nkeys = 'http://keys.example.com'", "https://"),
        (
            "[firebase]\nkeys = 'http://localhost.example.com'",
            "https://",
        ),
        ("[firebase]\nkeys = 'keys'", "firebase.keys"),
        ("[firebase]\nproject = ''", "no id"),
        ("[firebase]\nproject = 'acme/../other'", "no id"),
    ] {
        let error = in_force(text).unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
    }
    // On this machine, for who develops: nobody is in between.
    for here in ["localhost", "127.0.0.1", "[::1]"] {
        in_force(&format!("[firebase]\nkeys = 'http://{here}:8080/keys'")).unwrap();
    }
}

#[test]
fn a_secret_and_its_file_together_are_refused() {
    for text in [
        "master_key = 'x'\nmaster_key_file = 'y'",
        "[database]\nurl = 'x'\nurl_file = 'y'",
        "[mail]\nurl = 'x'\nurl_file = 'y'",
    ] {
        let error = in_force(text).unwrap_err().to_string();
        assert!(error.contains("both given"), "{error}");
    }
}

#[test]
fn a_period_is_a_number_with_a_unit() {
    let staleness =
        |text: &str| in_force(&format!("staleness_bound = '{text}'")).map(|it| it.bounds.staleness);
    assert_eq!(staleness("1500ms").unwrap(), Duration::from_millis(1_500));
    assert_eq!(staleness("1m").unwrap(), Duration::from_mins(1));
    assert!(staleness("0s").unwrap_err().to_string().contains("200ms"));
    for wrong in ["-1s", "1", "soon", ""] {
        let read = toml::from_str::<Settings>(&format!("away_bound = '{wrong}'"));
        assert!(read.is_err(), "{wrong}");
    }
}

#[test]
fn a_collector_is_a_url_and_a_ratio_is_from_0_to_1() {
    let traces = |text: &str| in_force(&format!("[traces]\n{text}"));
    let url = "otlp_endpoint = 'http://me:secret@127.0.0.1:4318/'";
    if !cfg!(feature = "opentelemetry") {
        let error = traces(url).unwrap_err().to_string();
        assert!(error.contains("--features opentelemetry"), "{error}");
        return;
    }
    let config = traces(&format!("{url}\nratio = 0.25")).unwrap();
    let expected = Traces {
        endpoint: "http://me:secret@127.0.0.1:4318".to_owned(),
        ratio: 0.25,
    };
    assert!(!config.to_string().contains("secret"));
    assert_eq!(config.traces, Some(expected));
    for wrong in [
        "ratio = 1.5",
        "ratio = -0.1",
        "ratio = nan",
        "otlp_endpoint = '127.0.0.1:4318'",
        "otlp_endpoint = 'grpc://collector'",
    ] {
        assert!(traces(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_kept_for_too_short_a_time_is_refused() {
    for (wrong, least) in [
        ("events = '89d'", "90d"),
        ("usage = '1d'", "2d"),
        ("usage_by_hour = '1d'", "2d"),
    ] {
        let error = in_force(&format!("[retention]\n{wrong}")).unwrap_err();
        assert!(error.to_string().contains(least), "{error}");
    }
}

#[test]
fn a_public_url_is_a_scheme_and_a_host() {
    let url = |text: &str| in_force(&format!("public_url = '{text}'")).map(|it| it.public_url);
    assert_eq!(
        url("https://keys.example.com/").unwrap().unwrap(),
        "https://keys.example.com"
    );
    assert!(url("http://127.0.0.1:8420").is_ok());
    for wrong in [
        "keys.example.com",
        "ftp://keys.example.com",
        "https://keys.example.com/path",
        "https://keys.example.com?query",
        "https://user@keys.example.com",
        "",
    ] {
        assert!(url(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn risky_combinations_are_warned_of() {
    let count = |text: &str| in_force(text).unwrap().warnings().len();
    assert_eq!(count("master_key = 'x'"), 0);
    assert_eq!(count(""), 1);
    assert_eq!(count("master_key = 'x'\n[operator]\nremote = true"), 1);
    let private = "master_key = 'x'\n[outbound]\nallow_private = true";
    assert_eq!(count(private), 1);
    let to = |networks: &str| {
        count(&format!(
            "master_key = 'x'\n[outbound]\nnetworks = [{networks}]"
        ))
    };
    assert_eq!(to("'10.0.0.0/8', 'fd12::/16'"), 0);
    assert_eq!(to("'169.254.0.0/16', 'fd00::/8', '0.0.0.0/0'"), 3);
    assert_eq!(count("master_key = 'x'\nlisten = '0.0.0.0:1'"), 2);
    let all = "master_key = 'x'\ntrusted_proxies = ['10.0.0.0/8', '::/0', '0.0.0.0/0']";
    assert_eq!(count(all), 2);
    let kept = |text: &str| count(&format!("master_key = 'x'\n[retention]\n{text}"));
    assert_eq!(kept("events = '365d'\nusage = '1827d'"), 0);
    assert_eq!(kept("events = '364d'\nusage = '1826d'"), 2);
    assert_eq!(kept("calls = 'forever'\ndeleted = 'forever'"), 2);
    let behind_proxy = "master_key = 'x'\nlisten = '0.0.0.0:1'\npublic_url = 'https://a.example'";
    assert_eq!(count(behind_proxy), 0);
}
