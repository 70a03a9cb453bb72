use super::*;
use serde_json::{Value, json};

fn read(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Settings> {
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Settings::read("s.toml", text, environment.collect())
}

fn check_error(text: &str, environment: &[(&str, &str)], expect: &str) {
    let error = format!("{:#}", read(text, environment).unwrap_err());
    assert!(error.contains(expect), "{error:?} does not say {expect:?}");
}

#[test]
fn every_default_works_without_a_file() {
    let settings = read("", &[]).unwrap();
    assert_eq!(settings.definitions, Definitions::default());
    assert_eq!(settings.data, PathBuf::from("streamgauge-data"));
}

#[test]
fn only_what_decides_a_number_makes_a_folder_compute_anew() {
    let stated = |key: &str, value: &str| read("", &[(key, value)]).unwrap().stated;
    assert!(!stated("STREAMGAUGE__LOG__FORMAT", "json"));
    assert!(!stated("STREAMGAUGE__DATA", "x"));
    assert!(!stated("STREAMGAUGE__TELEMETRY__LISTEN", "none"));
    assert!(stated("STREAMGAUGE__FAILURE_WINDOW", "2h"));
    assert!(stated("STREAMGAUGE__SCOPES__LABELS__REGION", "eu"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let settings = read(
        "failure_window = \"1d12h\"\n[lead_time]\nstart = \"authored\"\nexclude = [\"bot\"]\n[reporting]\nbands = 2024\n[scopes.labels]\nregion = [\"us\", \"eu\"]",
        &[
            ("STREAMGAUGE__LEAD_TIME__START", "pr_opened"),
            ("STREAMGAUGE__BLAME_DEPENDENCIES", "true"),
            ("STREAMGAUGE__PARTITIONS", "12"),
            ("STREAMGAUGE__SCOPES__LABELS__TIER", "gold, silver"),
            ("OTHER", "1"),
        ],
    )
    .unwrap();
    let definitions = settings.definitions;
    assert_eq!(definitions.lead_time_start, LeadTimeStart::PrOpened);
    assert_eq!(definitions.lead_time_exclude, [AuthorKind::Bot]);
    assert_eq!(definitions.failure_window, Some(Span::from_hours(36)));
    assert!(definitions.blame_dependencies);
    assert_eq!(settings.partitions, 12);
    let labels: Vec<_> = definitions.label_scopes.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    assert_eq!(labels, [r#"region=["eu", "us"]"#, r#"tier=["gold", "silver"]"#]);
}

#[test]
fn a_mistake_names_its_place_and_the_remedy() {
    check_error(
        "\nfailure_windw = \"4h\"",
        &[],
        "s.toml:2:1: unknown key `failure_windw` (did you mean `failure_window`?)",
    );
    check_error(
        "[lead_time]\nstrat = 1",
        &[],
        "s.toml:2:1: unknown key `lead_time.strat` (did you mean `lead_time.start`?)",
    );
    check_error(
        "[lead_time]\nstart = \"opened\"",
        &[],
        "s.toml:2:1: `lead_time.start`: \"opened\" is not one of commit, authored",
    );
    check_error(
        "",
        &[("STREAMGAUGE__RETIAN", "all")],
        "STREAMGAUGE__RETIAN: unknown key `retian` (did you mean `retain`?)",
    );
    check_error(
        "",
        &[("STREAMGAUGE__MAX_FUTURE", "ten")],
        "STREAMGAUGE__MAX_FUTURE: `max_future`: \"ten\" is not a length of time",
    );
    check_error("[reporting]\ntimezone = \"Mars/Base\"", &[], "is not a time zone");
    check_error("[reporting]\nbands = 1999", &[], "there are no bands of 1999");
    check_error("partitions = 0", &[], "`partitions`: 0 is not between 1 and 1024");
    check_error(
        "[telemetry]\nlisten = \"9464\"",
        &[],
        "s.toml:2:1: `telemetry.listen`: \"9464\" is not an address",
    );
    check_error(
        "[telemetry]\notlp_endpoint = \"https://x\"",
        &[],
        "`telemetry.otlp_endpoint`: \"https://x\" is not as in",
    );
    check_error("a = [1,", &[], "s.toml:1:");
    check_error("partitions = \"many\"", &[], "partitions");
}

#[test]
fn sources_are_added_and_a_mistake_in_a_mapping_is_named_with_its_place() {
    let text = "[sources.deploybot]\nmap = '{id: .id}'\ntime_zone = \"Europe/Berlin\"\n[sources.octopus]\n\
                [sources.other]\nuse = \"octopus\"\n[kafka]\nbrokers = \"b:9092\"\ntopics.deploybot = [\"deploys\"]\n\
                [gateway.hooks.deploybot]\nscheme = \"bearer\"";
    let settings = read(text, &[]).unwrap();
    assert_eq!(settings.mappings.names().collect::<Vec<_>>(), ["deploybot", "octopus", "other"]);
    assert_eq!(settings.kafka.unwrap().source_of("deploys"), Some("deploybot"));
    assert!(settings.gateway.hooks.contains_key("deploybot"));
    check_error(
        "[sources.a]\nmap = '''\n{id: .id}\n| foo'''",
        &[],
        "s.toml:2:1: `sources.a.map`: line 2, column 3: no filter is called `foo` with 0 arguments",
    );
    check_error("[sources.github]\nmap = '.'", &[], "this source is built in");
    check_error("[sources.Own]\nmap = '.'", &[], "a source's name is a part of its topic's");
    check_error("[sources.a]\n", &[], "`sources.a`: set map or map_file, or use to one of");
    check_error("[sources.a]\nmap = '.'\nuse = \"octopus\"", &[], "set one of map, map_file and use");
    check_error("[sources.a]\nuse = \"octopussy\"", &[], "no mapping called \"octopussy\"");
    check_error("[sources.a]\nmap = '.'\ntime_zone = \"Mars\"", &[], "not a time zone");
    check_error("[sources.a]\nmap_file = \"/no/such.jq\"", &[], "/no/such.jq: ");
    let file = std::env::temp_dir().join(format!("streamgauge-mapping-{}.jq", std::process::id()));
    std::fs::write(&file, "# ours\n{id: .id\n").unwrap();
    let says = format!("{}:3:1: closing brace is expected", file.display());
    check_error(&format!("[sources.a]\nmap_file = {file:?}"), &[], &says);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn hooks_are_read_and_what_does_not_fit_is_named_with_its_place() {
    let text =
        "[gateway.hooks.shop]\nsource = \"gitlab\"\nscheme = \"gitlab_token\"\n[gateway.hooks.incidentio]\n";
    let gateway = read(text, &[]).unwrap().gateway;
    let schemes: Vec<_> = gateway.hooks.values().map(|hook| hook.way.name()).collect();
    assert_eq!(schemes, ["standard_webhooks", "gitlab_token"]);
    assert!(gateway.events.is_none());
    check_error(
        "[gateway.hooks.shop]\n",
        &[],
        "s.toml:1:16: `gateway.hooks.shop`: no source is called \"shop\"",
    );
    check_error(
        "[gateway.hooks.a]\nsource = \"github\"\nscheme = \"gitlab\"",
        &[],
        "s.toml:3:1: `gateway.hooks.a.scheme`: \"gitlab\" does not fit this source; one of github, standard_webhooks",
    );
    check_error("[gateway.hooks.github]\nscheme = \"x\"", &[], "\"x\" is no scheme");
    check_error("[gateway.hooks.alertmanager]\n", &[], "`scheme` is missing");
    check_error("[gateway.hooks.Shop]\n", &[], "a hook's name is a part of its address");
    check_error("[gateway.hooks.github]\nsecret = \"x\"", &[], "unknown key `gateway.hooks.github.secret`");
    check_error("[gateway]\nrate = 0", &[], "0 would let nothing through");
}

#[test]
fn a_source_says_how_its_deliveries_are_signed_and_has_a_hook_of_its_name() {
    let verify = "[sources.bot]\nmap = '.'\n[sources.bot.verify]\nheader = \"X-Bot\"\nalgorithm = \"hmac-sha1\"\n\
                  prefix = \"sha1=\"\nsecret_env = [\"BOT\"]\n";
    let ways = |text: &str| {
        let gateway = read(&format!("{verify}{text}"), &[]).unwrap().gateway;
        let hook = |(name, hook): (&String, &gateway::HookConfig)| {
            (name.clone(), hook.way.name(), hook.key.clone(), hook.source.clone().unwrap())
        };
        gateway.hooks.iter().map(hook).collect::<Vec<_>>()
    };
    let of = |name: &str, way, key: &str| (name.to_owned(), way, key.to_owned(), "bot".to_owned());
    assert_eq!(ways(""), [of("bot", "verify", "sources.bot.verify")]);
    assert_eq!(ways("[gateway.hooks.b]\nsource = \"bot\""), [of("b", "verify", "sources.bot.verify")]);
    let own = "[gateway.hooks.b]\nsource = \"bot\"\nsecret_env = [\"OTHER\"]";
    assert_eq!(ways(own), [of("b", "verify", "gateway.hooks.b")]);
    let scheme = "[gateway.hooks.bot]\nscheme = \"bearer\"";
    assert_eq!(ways(scheme), [of("bot", "bearer", "gateway.hooks.bot")]);
    for (keys, says) in [
        (
            "algorithm = \"md5\"",
            "s.toml:4:1: `sources.a.verify.algorithm`: \"md5\" is not one of hmac-sha1, ",
        ),
        ("encoding = \"b64\"", "s.toml:4:1: `sources.a.verify.encoding`: \"b64\" is not one of hex, base64"),
        (
            "signed = \"{timestamp}{body}\"",
            "s.toml:4:1: `sources.a.verify.signed`: {timestamp} is signed, but",
        ),
        ("head = \"x\"", "s.toml:4:1: unknown key `sources.a.verify.head`"),
        ("prefix = \"x\"", "s.toml:3:12: `sources.a.verify`: no secret is named: set secret_files"),
    ] {
        let text = format!("[sources.a]\nmap = '.'\n[sources.a.verify]\n{keys}\nheader = \"X-Sign\"");
        check_error(&text, &[], says);
    }
    check_error(
        "[sources.a]\nmap = '.'\nverify.prefix = \"x\"",
        &[],
        "`sources.a.verify.header`: it says which",
    );
    check_error(
        "[gateway.hooks.a]\n[sources.a]\nmap = '.'",
        &[],
        "or say in [sources.a.verify] how its records are signed",
    );
}

#[test]
fn objectives_are_read_and_a_mistake_in_one_is_named_with_its_place() {
    let slo = "[prometheus]\nurl = \"http://p:9090/\"\n[prometheus.slos.up]\nservice = \"a\"\ngood = \"x\"\n";
    let read_slo =
        |more: &str| read(&format!("{slo}{more}"), &[]).map(|settings| settings.prometheus.unwrap());
    let prometheus = read_slo("total = \"y\"").unwrap();
    assert_eq!(prometheus.url, "http://p:9090");
    assert_eq!(prometheus.objectives["up"].every, Span::from_minutes(5));
    check_error(slo, &[], "s.toml:3:18: `prometheus.slos.up`: `total` is missing");
    check_error(
        &format!("{slo}total = \"y\"\nevery = \"10s\""),
        &[],
        "s.toml:7:1: `prometheus.slos.up.every`",
    );
    check_error("[prometheus.slos.up]\nservice = \"a\"", &[], "set prometheus.url");
    assert!(read("", &[]).unwrap().prometheus.is_none());
}

#[test]
fn mirrors_and_backfills_are_read_and_a_mistake_in_one_is_named_with_its_place() {
    let text = "[git.mirror.a]\nrepositories = [\"https://github.com/acme/checkout\"]\nevery = \"5m\"\n";
    let mirrors = read(text, &[]).unwrap().mirrors.unwrap();
    assert_eq!(mirrors.groups["a"].remotes[0].name.as_str(), "github.com/acme/checkout");
    assert_eq!(mirrors.groups["a"].every, Span::from_minutes(5));
    check_error("[git.mirror.a]\nevery = \"5m\"", &[], "`git.mirror.a.repositories`: names no repository");
    check_error(&text.replace("5m", "5s"), &[], "s.toml:3:1: `git.mirror.a.every`: it lies between");
    let twice = format!("{text}[git.mirror.b]\nrepositories = [\"git@github.com:acme/checkout.git\"]");
    check_error(&twice, &[], "github.com/acme/checkout is mirrored twice");

    let text = "[backfill.github]\nonly = [\"acme/checkout\"]\nevery = \"15m\"\n";
    let backfills = read(text, &[]).unwrap().backfills;
    assert_eq!(backfills["github"].every, Some(Span::from_minutes(15)));
    check_error("[backfill.fax]\nevery = \"15m\"", &[], "there are github, gitlab, jira, pagerduty");
    check_error("[backfill.github]\nevery = \"15m\"", &[], "name each repository");
    check_error("[backfill.jira]\nevery = \"15m\"", &[], "set its url");
}

#[test]
fn secrets_of_hooks_come_from_files_and_are_shown_nowhere() {
    let file = std::env::temp_dir().join(format!("streamgauge-hook-{}", std::process::id()));
    std::fs::write(&file, "hunter2\n").unwrap();
    let hook = |keys: &str| read(&format!("[gateway.hooks.github]\n{keys}"), &[]).unwrap().gateway;
    let opened = hook(&format!("secret_files = [{:?}, {:?}]", file, file)).open();
    std::fs::remove_file(&file).unwrap();
    let opened = opened.unwrap();
    assert_eq!(opened.hooks["github"].proof.secrets.len(), 2);
    assert!(opened.hooks["github"].proof.secrets[0].is(b"hunter2"));
    assert!(!format!("{opened:?}").contains("hunter2"));
    for (keys, says) in [
        ("", "gateway.hooks.github: no secret is named"),
        (
            "secret_env = [\"STREAMGAUGE_NO_SUCH\"]",
            "gateway.hooks.github: the variable STREAMGAUGE_NO_SUCH is not set",
        ),
        ("secret_files = [\"/no/such\"]", "gateway.hooks.github: /no/such: "),
    ] {
        let error = hook(keys).open().unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn the_devlake_profile_has_no_failure_window_unless_one_is_set() {
    assert_eq!(read("profile = \"devlake\"", &[]).unwrap().definitions.failure_window, None);
    let set = read("profile = \"devlake\"\nfailure_window = \"2h\"", &[]).unwrap();
    assert_eq!(set.definitions.failure_window, Some(Span::from_hours(2)));
    assert_eq!(read("failure_window = \"unbounded\"", &[]).unwrap().definitions.failure_window, None);
}

#[test]
fn the_schema_in_the_repository_is_the_one_that_the_keys_make() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/config/streamgauge.schema.json");
    let made = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made, "run the test with UPDATE_GOLDEN=1");
}

#[test]
fn every_key_of_the_list_is_accepted_with_its_default() {
    for key in keys::KEYS.iter().filter(|key| !key.default.is_empty()) {
        let quoted = match key.kind {
            keys::Kind::Bool | keys::Kind::Number => key.default.to_owned(),
            _ => format!("{:?}", key.default),
        };
        read(&format!("{} = {quoted}", key.name), &[])
            .unwrap_or_else(|error| panic!("{}: {error:#}", key.name));
    }
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// The example with every setting that it only shows made, secrets lying in a folder.
fn whole_example(secrets: &Path) -> String {
    let text = std::fs::read_to_string(deploy().join("streamgauge.toml")).unwrap();
    let made = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|letter: char| letter.is_ascii_lowercase()) => setting,
        _ => line,
    });
    let whole = made.collect::<Vec<_>>().join("\n");
    let mappings = deploy().join("mappings").display().to_string();
    whole
        .replace("/run/secrets", &secrets.display().to_string())
        .replace("\"mappings", &format!("\"{mappings}"))
}

#[test]
fn the_example_of_deploy_is_read_as_it_stands_and_with_every_setting_that_it_shows() {
    let text = std::fs::read_to_string(deploy().join("streamgauge.toml")).unwrap();
    let settings = read(&text, &[]).unwrap();
    assert_eq!((settings.definitions, settings.partitions), (Definitions::default(), 6));

    let secrets = std::env::temp_dir().join(format!("streamgauge-example-{}", std::process::id()));
    std::fs::create_dir_all(&secrets).unwrap();
    for name in ["kafka_password", "kafka_client_key_password", "clickhouse_loader", "registry_password"] {
        std::fs::write(secrets.join(name), "secret\n").unwrap();
    }
    let whole = whole_example(&secrets);
    let settings = read(&whole, &[]);
    std::fs::remove_dir_all(&secrets).unwrap();
    let kafka = settings.unwrap().kafka.unwrap();
    assert_eq!(kafka.properties["sasl.password"], "secret");
    assert_eq!(kafka.source_of("webhooks.github"), Some("github"));
}

#[test]
fn the_example_of_deploy_shows_every_key_but_passwords() {
    let origins = file::Origins::of("s.toml", &whole_example(Path::new("/")), &BTreeMap::new()).unwrap();
    let lacking: Vec<&str> = keys::KEYS
        .iter()
        .map(|key| key.name)
        .filter(|name| {
            !name.ends_with(".password")
                && !origins.has(name.trim_end_matches(".*"))
                && !origins.has_like(name)
        })
        .collect();
    assert!(lacking.is_empty(), "deploy/streamgauge.toml does not show {lacking:?}");
}

#[test]
fn every_variable_of_deploy_is_a_known_key() {
    let mut found = 0;
    for name in ["compose.yaml", "streamgauge.toml", "Dockerfile"] {
        let text = std::fs::read_to_string(deploy().join(name)).unwrap();
        let is_part = |letter: char| letter.is_ascii_uppercase() || letter == '_';
        for word in text.split(|letter| !is_part(letter)).filter(|word| word.starts_with(file::PREFIX)) {
            let key = word.trim_start_matches(file::PREFIX).to_lowercase().replace("__", ".");
            assert!(keys::KEYS.iter().any(|known| known.name == key), "{name}: {word} is no known key");
            found += 1;
        }
    }
    assert!(found > 5, "{found}");
}

/// The JSON Schema of the configuration file.
fn json_schema() -> Value {
    let mut root = object();
    for key in keys::KEYS {
        let mut at = &mut root;
        let mut names = key.name.split('.').peekable();
        while let Some(name) = names.next() {
            if name == "*" && names.peek().is_none() {
                at["additionalProperties"] = leaf(key);
            } else if name == "*" {
                let child = &mut at["additionalProperties"];
                if !child.is_object() {
                    *child = object();
                }
                at = child;
            } else if names.peek().is_none() {
                at["properties"][name] = leaf(key);
            } else {
                let child = &mut at["properties"][name];
                if child.is_null() {
                    *child = object();
                }
                at = child;
            }
        }
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Streamgauge configuration");
    root
}

fn object() -> Value {
    json!({"type": "object", "properties": {}, "additionalProperties": false})
}

fn leaf(key: &keys::Key) -> Value {
    let mut schema = match key.kind {
        keys::Kind::Text => json!({"type": ["string", "integer"]}),
        keys::Kind::Words(words) => json!({"type": "string", "enum": words}),
        keys::Kind::WordList(words) => json!({"type": "array", "items": {"type": "string", "enum": words}}),
        keys::Kind::List => json!({"type": "array", "items": {"type": "string"}}),
        keys::Kind::Span => json!({"type": "string", "pattern": "^(unbounded|([0-9]+[smhd] *)+)$"}),
        keys::Kind::Bool => json!({"type": "boolean"}),
        keys::Kind::Number => json!({"type": "integer", "minimum": 1}),
    };
    schema["description"] = json!(key.meaning);
    let default = match key.kind {
        _ if key.default.is_empty() => None,
        keys::Kind::Bool | keys::Kind::Number => serde_json::from_str(key.default).ok(),
        _ => Some(json!(key.default)),
    };
    if let Some(default) = default {
        schema["default"] = default;
    }
    schema
}
