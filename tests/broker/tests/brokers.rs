//! The real broker, as tests elsewhere use it: alone, as three that lose one, and closed to strangers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use streamgauge_test_broker::{Cluster, Detached, Proxy, Settings, Tool, User, is_available};

const PATIENCE: Duration = Duration::from_secs(20);
const GROUP: &str = "streamgauge-test";
const LARGE: usize = 26 << 20;
const AWAY: [Option<RDKafkaErrorCode>; 2] =
    [Some(RDKafkaErrorCode::BrokerTransportFailure), Some(RDKafkaErrorCode::AllBrokersDown)];

struct Started {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

fn start(settings: &Settings) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let before = Instant::now();
    let cluster = Cluster::start(&folder.path().join("kafka"), settings).unwrap();
    eprintln!("{} broker(s), secure: {}: ready in {:?}", settings.brokers, settings.secure, before.elapsed());
    Started { cluster, folder }
}

fn plain(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("message.max.bytes", (LARGE + (1 << 20)).to_string());
    config.set("fetch.max.bytes", (LARGE + (1 << 20)).to_string());
    config
}

fn client<C: FromClientConfig>(config: &ClientConfig) -> C {
    config.create().unwrap()
}

fn create_topic(
    config: &ClientConfig,
    name: &str,
    settings: &[(&str, &str)],
) -> Result<(), RDKafkaErrorCode> {
    let admin: AdminClient<DefaultClientContext> = client(config);
    // -1: as many replicas as the broker's default.
    let mut topic = NewTopic::new(name, 1, TopicReplication::Fixed(-1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let results = runtime.block_on(admin.create_topics([&topic], &options)).unwrap();
    results.into_iter().next().unwrap().map(drop).map_err(|(_, code)| code)
}

/// Produces one record and waits until all in-sync replicas have it, or for the reason why not.
fn produce(config: &ClientConfig, topic: &str, key: &str, value: &[u8]) -> KafkaResult<()> {
    let mut config = config.clone();
    config.set("acks", "all").set("message.timeout.ms", PATIENCE.as_millis().to_string());
    // After this, a topic that is not there counts as missing.
    config.set("topic.metadata.propagation.max.ms", "1000");
    let context = Deliveries::default();
    let producer: BaseProducer<Deliveries> = config.create_with_context(context.clone())?;
    producer.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)?;
    context.0.lock().unwrap().take().expect("a record that is flushed is delivered or refused")
}

#[derive(Clone, Default)]
struct Deliveries(std::sync::Arc<std::sync::Mutex<Option<KafkaResult<()>>>>);

impl rdkafka::ClientContext for Deliveries {}

impl rdkafka::producer::ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &rdkafka::producer::DeliveryResult<'_>, (): ()) {
        let result = result.as_ref().map(drop).map_err(|(error, _)| error.clone());
        *self.0.lock().unwrap() = Some(result);
    }
}

/// The first records of a topic's only partition.
#[allow(clippy::disallowed_methods, reason = "it is assigned once")]
fn consume(config: &ClientConfig, topic: &str, count: usize) -> KafkaResult<Vec<(String, Vec<u8>)>> {
    let mut config = config.clone();
    config.set("group.id", GROUP).set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while records.len() < count && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
                records.push((key, message.payload().unwrap().to_vec()));
            }
            // A broker is away; the client looks for it, or for another, by itself.
            Some(Err(error)) if AWAY.contains(&error.rdkafka_error_code()) => {}
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Ok(records)
}

fn brokers(config: &ClientConfig) -> Vec<i32> {
    let consumer: BaseConsumer = client(config);
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let mut ids: Vec<i32> = metadata.brokers().iter().map(|broker| broker.id()).collect();
    ids.sort_unstable();
    ids
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn with_password(cluster: &Cluster, mechanism: &str, user: &User, password: &str) -> ClientConfig {
    let mut config = plain(&cluster.bootstrap());
    config.set("security.protocol", "SASL_SSL").set("sasl.mechanism", mechanism);
    config.set("sasl.username", user.name()).set("sasl.password", password);
    config.set("ssl.ca.location", cluster.security().unwrap().ca().display().to_string());
    config
}

fn with_certificate(cluster: &Cluster, user: &User) -> ClientConfig {
    let mut config = plain(&cluster.bootstrap_for_certificates().unwrap());
    config.set("security.protocol", "SSL");
    config.set("ssl.ca.location", cluster.security().unwrap().ca().display().to_string());
    config.set("ssl.certificate.location", user.certificate().display().to_string());
    config.set("ssl.key.location", user.key().display().to_string());
    config
}

/// What a client hears first from brokers that do not let it in.
fn refusal(config: &ClientConfig) -> RDKafkaErrorCode {
    let consumer: BaseConsumer = client(config.clone().set("group.id", "stranger"));
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown))) | None => {}
            Some(Err(KafkaError::MessageConsumption(code) | KafkaError::Global(code))) => return code,
            Some(other) => panic!("{other:?}"),
        }
    }
    panic!("nobody was refused within {PATIENCE:?}")
}

#[test]
fn one_broker_gives_back_what_was_produced_up_to_26_mib_and_goes_on_when_it_is_detached() {
    if !is_available() {
        return;
    }
    let started = start(&Settings::plain(1));
    let config = plain(&started.cluster.bootstrap());
    assert_eq!(brokers(&config), [1]);

    create_topic(&config, "raw", &[("max.message.bytes", &(LARGE + (1 << 20)).to_string())]).unwrap();
    create_topic(&config, "small", &[]).unwrap();
    let large: Vec<u8> = (0..LARGE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    produce(&config, "raw", "a", b"first").unwrap();
    produce(&config, "raw", "b", &large).unwrap();
    let records = consume(&config, "raw", 2).unwrap();
    assert_eq!(records[0], ("a".to_owned(), b"first".to_vec()));
    assert!(records[1].1 == large, "26 MiB come back as they were");
    let refused = produce(&config, "small", "b", &large).unwrap_err();
    assert_eq!(refused.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge));

    let folder = started.folder.path().join("kafka");
    assert!(Detached::find(&folder).unwrap().is_none());
    let bootstrap = started.cluster.bootstrap();
    started.cluster.detach().unwrap();
    let detached = Detached::find(&folder).unwrap().unwrap();
    assert_eq!((detached.bootstrap(), detached.nodes()), (bootstrap.as_str(), (1, 1)));
    assert_eq!(brokers(&config), [1]);
    detached.stop().unwrap();
    assert!(Detached::find(&folder).unwrap().is_none());
}

#[test]
fn a_broker_makes_no_topic_that_nobody_created_and_keeps_its_records_over_kill_and_restart() {
    if !is_available() {
        return;
    }
    let proxy = Proxy::bind().unwrap();
    let started = start(&Settings { proxies: vec![proxy.port()], ..Settings::plain(1) });
    let (cluster, config) = (&started.cluster, plain(&started.cluster.bootstrap()));
    create_topic(&config, "kept", &[]).unwrap();
    proxy.forward(cluster.proxied(1).unwrap());
    let through: BaseConsumer = client(&plain(&format!("127.0.0.1:{}", proxy.port())));
    assert_eq!(through.fetch_metadata(None, PATIENCE).unwrap().brokers()[0].port(), i32::from(proxy.port()));
    drop(through);
    produce(&config, "kept", "a", b"before").unwrap();
    assert!(produce(&config, "never-created", "a", b"lost").is_err());

    cluster.kill(1).unwrap();
    assert!(cluster.process(1).is_err());
    cluster.restart(1).unwrap();
    produce(&config, "kept", "a", b"after").unwrap();

    // A paused broker answers nobody, and goes on where it was.
    cluster.pause(1).unwrap();
    let consumer: BaseConsumer = client(&config);
    assert!(consumer.fetch_metadata(None, Duration::from_millis(500)).is_err());
    cluster.resume(1).unwrap();
    let records = consume(&config, "kept", 2).unwrap();
    assert_eq!(records, [("a".to_owned(), b"before".to_vec()), ("a".to_owned(), b"after".to_vec())]);
    assert!(cluster.kill(2).unwrap_err().to_string().contains("no Kafka node 2"));
}

#[test]
fn three_brokers_lose_one_by_sigkill_and_neither_records_nor_transactions() {
    if !is_available() {
        return;
    }
    // The others are to notice within this test's patience.
    let started = start(&Settings::plain(3).with("broker.session.timeout.ms", "3000"));
    let (cluster, config) = (&started.cluster, plain(&started.cluster.bootstrap()));
    wait_for("three brokers", || brokers(&config) == [1, 2, 3]);
    create_topic(&config, "events", &[]).unwrap();
    produce(&config, "events", "a", b"with three").unwrap();

    let victim = leader(&config, "events");
    cluster.kill(u32::try_from(victim).unwrap()).unwrap();
    let mut transactional = config.clone();
    transactional.set("transactional.id", "t").set("transaction.timeout.ms", "20000");
    let producer: BaseProducer = client(&transactional);
    producer.init_transactions(Timeout::After(PATIENCE)).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::to("events").key("b").payload("with two")).map_err(|(error, _)| error).unwrap();
    producer.commit_transaction(Timeout::After(PATIENCE)).unwrap();
    assert_ne!(leader(&config, "events"), victim);
    let expected = [("a".to_owned(), b"with three".to_vec()), ("b".to_owned(), b"with two".to_vec())];
    assert_eq!(consume(&config, "events", 2).unwrap(), expected);

    cluster.restart(u32::try_from(victim).unwrap()).unwrap();
    wait_for("the third is back", || brokers(&config) == [1, 2, 3]);
    let topics = cluster.tool(Tool::Topics, &["--describe", "--topic", "events"]).unwrap();
    assert!(topics.contains("ReplicationFactor: 3"), "{topics}");
}

fn leader(config: &ClientConfig, topic: &str) -> i32 {
    let consumer: BaseConsumer = client(config);
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    metadata.topics()[0].partitions()[0].leader()
}

#[test]
fn a_secure_broker_lets_in_whom_it_knows_and_only_to_what_a_rule_allows() {
    if !is_available() {
        return;
    }
    let started = start(&Settings::secure(1, &["streamgauge"]));
    let cluster = &started.cluster;
    let security = cluster.security().unwrap();
    let (admin, user) = (security.admin().unwrap(), security.user("streamgauge").unwrap());
    let password = user.password().unwrap();

    let by_admin = with_certificate(cluster, &admin);
    create_topic(&by_admin, "allowed", &[]).unwrap();
    create_topic(&by_admin, "denied", &[]).unwrap();
    let allow = |arguments: &[&str]| {
        let rule = [&["--add", "--allow-principal", "User:streamgauge"], arguments].concat();
        cluster.tool(Tool::Acls, &rule).unwrap();
    };
    allow(&["--producer", "--consumer", "--topic", "allowed", "--group", GROUP]);

    // By either password mechanism and by certificate it is the same user, with the same rights.
    let ways = [
        with_password(cluster, "SCRAM-SHA-512", &user, &password),
        with_password(cluster, "PLAIN", &user, &password),
        with_certificate(cluster, &user),
    ];
    for config in &ways {
        produce(config, "allowed", "a", b"mine").unwrap();
        let denied = produce(config, "denied", "a", b"not mine").unwrap_err();
        assert_eq!(denied.rdkafka_error_code(), Some(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert_eq!(create_topic(config, "own", &[]), Err(RDKafkaErrorCode::TopicAuthorizationFailed));
    }
    let consumer: BaseConsumer = client(&ways[0]);
    let unseen = consumer.fetch_metadata(Some("denied"), PATIENCE).unwrap().topics()[0].error();
    assert_eq!(unseen.map(RDKafkaErrorCode::from), Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    assert_eq!(consume(&ways[0], "allowed", ways.len()).unwrap().len(), ways.len());

    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        let stranger = with_password(cluster, mechanism, &user, "guessed");
        assert_eq!(refusal(&stranger), RDKafkaErrorCode::Authentication);
    }
    let mut anonymous = with_certificate(cluster, &user);
    anonymous.remove("ssl.certificate.location");
    anonymous.remove("ssl.key.location");
    let anonymous: BaseConsumer = client(&anonymous);
    assert!(anonymous.fetch_metadata(None, Duration::from_secs(2)).is_err());

    let late = cluster.add_user("late").unwrap();
    let config = with_password(cluster, "SCRAM-SHA-512", &late, &late.password().unwrap());
    wait_for("a user that was added", || {
        let error = produce(&config, "allowed", "a", b"not yet").unwrap_err();
        error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    });
    assert!(cluster.add_user("late").is_err());
    assert!(cluster.add_user("../late").is_err());
    secrets_are_kept(&started);
}

/// No password stands in a log, and no file that holds one, or a key, can be read by others.
fn secrets_are_kept(started: &Started) {
    use std::os::unix::fs::PermissionsExt;
    let folder = started.folder.path().join("kafka");
    let security = started.cluster.security().unwrap();
    let passwords: Vec<String> = ["admin", "streamgauge", "late"]
        .map(|name| security.user(name).unwrap().password().unwrap())
        .into_iter()
        .collect();
    let log = std::fs::read_to_string(folder.join("node-1/kafka.log")).unwrap();
    assert!(log.contains("Kafka Server started"));
    assert!(passwords.iter().all(|password| password.len() == 48 && !log.contains(password)));
    let mut kept = 0;
    for place in ["security", "node-1"] {
        for entry in std::fs::read_dir(folder.join(place)).unwrap() {
            let entry = entry.unwrap();
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            if text.contains("PRIVATE KEY") || passwords.iter().any(|password| text.contains(password)) {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", entry.path().display());
                kept += 1;
            }
        }
    }
    assert!(kept >= 8, "{kept} files with secrets were found");
}

#[test]
fn a_broker_dies_with_the_process_that_started_it_however_that_dies() {
    const FOLDER: &str = "STREAMGAUGE_TEST_BROKER_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        let cluster = Cluster::start(&folder.join("kafka"), &Settings::plain(1)).unwrap();
        std::fs::write(folder.join("written"), cluster.bootstrap()).unwrap();
        std::fs::rename(folder.join("written"), folder.join("bootstrap")).unwrap();
        std::thread::sleep(Duration::from_secs(600));
    }
    if !is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_broker_dies_with_the_process_that_started_it_however_that_dies"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let bootstrap = folder.path().join("bootstrap");
    wait_for("a broker of another process", || bootstrap.exists() || child.try_wait().unwrap().is_some());
    let address = std::fs::read_to_string(&bootstrap).unwrap();
    TcpStream::connect(&address).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("nobody answers", || TcpStream::connect(&address).is_err());
}

#[test]
fn a_broker_that_cannot_start_says_so_with_the_end_of_its_log() {
    if !is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::plain(1).with("log.cleaner.dedupe.buffer.size", "no number");
    let error = format!("{:#}", Cluster::start(&folder.path().join("kafka"), &settings).unwrap_err());
    assert!(error.contains("no number"), "{error}");
    let used = tempfile::tempdir().unwrap();
    std::fs::write(used.path().join("a"), "").unwrap();
    let error = Cluster::start(used.path(), &Settings::plain(1)).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    let error = Cluster::start(folder.path(), &Settings::plain(2)).unwrap_err().to_string();
    assert!(error.contains("1 or 3"), "{error}");
}
