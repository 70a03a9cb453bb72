//! Certificates, users and passwords of a secure cluster, made anew for each and readable by their owner alone.

use crate::os;
use anyhow::{Context, Result, anyhow, ensure};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The one user that may do everything.
pub const ADMIN: &str = "admin";
/// Whom the brokers are to each other; it has a certificate and no password.
pub const BROKER: &str = "broker";

const DAYS: &str = "365";
const OPENSSL: &str = "openssl.cnf";
/// Brokers advertise the loopback address, so their certificate names it.
const EXTENSIONS: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[member]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
";

/// Where the secrets of a secure cluster lie: files in PEM, and one file for each password.
#[derive(Debug, Clone)]
pub struct Security {
    folder: PathBuf,
}

/// One who may connect: by certificate as `CN=<name>`, or by name and password. Kafka calls both `User:<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    folder: PathBuf,
}

impl Security {
    /// Makes an authority, and certificates and passwords for the administrator and these users.
    ///
    /// # Errors
    /// `openssl` is missing, or the folder cannot be made.
    pub fn create(folder: &Path, users: &[String]) -> Result<Self> {
        os::make_private_folder(folder)?;
        let security = Self { folder: folder.to_owned() };
        os::write_private(&security.file(OPENSSL), EXTENSIONS)?;
        os::write_private(&security.file("ca.key"), "")?;
        let mut authority = security.openssl("req");
        authority.args(["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        authority.args([
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            DAYS,
            "-subj",
            "/CN=streamgauge test",
        ]);
        run(authority.args(["-config", OPENSSL, "-extensions", "authority"]))?;
        security.certify(BROKER)?;
        for name in std::iter::once(ADMIN).chain(users.iter().map(String::as_str)) {
            security.add(name)?;
        }
        let keystore = security.file(format!("{ADMIN}.keystore.pem"));
        let client = format!("security.protocol=SSL\n{}", security.stores(&keystore));
        os::write_private(&security.admin_properties(), &client)?;
        Ok(security)
    }

    /// The certificate that signed all others: `ssl.ca.location`.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The user who may do everything.
    ///
    /// # Errors
    /// The files are not there.
    pub fn admin(&self) -> Result<User> {
        self.user(ADMIN)
    }

    /// A user that was named at the start or added since.
    ///
    /// # Errors
    /// There is no such user.
    pub fn user(&self, name: &str) -> Result<User> {
        let user = User { name: name.to_owned(), folder: self.folder.clone() };
        ensure!(user.password_file().is_file(), "the Kafka cluster has no user {name:?}");
        Ok(user)
    }

    /// Everybody who has a password, by name.
    pub(crate) fn users(&self) -> Result<Vec<User>> {
        let cannot = || format!("cannot list {}", self.folder.display());
        let mut users = Vec::new();
        for entry in std::fs::read_dir(&self.folder).with_context(cannot)? {
            let file = entry.with_context(cannot)?.file_name();
            if let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".password")) {
                users.push(self.user(name)?);
            }
        }
        users.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(users)
    }

    /// Makes a certificate and a password for a new user.
    pub(crate) fn add(&self, name: &str) -> Result<User> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        // The name becomes part of files, of certificates and of Kafka's configuration.
        ensure!(
            !name.is_empty() && name.len() <= 40 && name.chars().all(is_plain) && name != BROKER,
            "a user of the Kafka cluster is named with a-z, 0-9 and -, at most 40, and not {BROKER:?}: {name:?}"
        );
        ensure!(self.user(name).is_err(), "the Kafka cluster has a user {name:?} already");
        self.certify(name)?;
        os::write_private(&self.file(format!("{name}.password")), &os::random_hex()?)?;
        self.user(name)
    }

    /// What Kafka's own command line tools read to be the administrator.
    pub(crate) fn admin_properties(&self) -> PathBuf {
        self.file("admin.properties")
    }

    /// The part of `server.properties` that says who gets in and what they may do.
    pub(crate) fn server_properties(&self) -> Result<String> {
        let mut plain = "org.apache.kafka.common.security.plain.PlainLoginModule required".to_owned();
        for user in self.users()? {
            write!(plain, " user_{}=\"{}\"", user.name, user.password()?)?;
        }
        Ok(format!(
            "{}\
             ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT\n\
             listener.name.ssl.ssl.client.auth=required\n\
             listener.name.controller.ssl.client.auth=required\n\
             sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
             listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.sasl_ssl.plain.sasl.jaas.config={plain};\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             allow.everyone.if.no.acl.found=false\n\
             super.users=User:{BROKER};User:{ADMIN}\n",
            self.stores(&self.file(format!("{BROKER}.keystore.pem"))),
        ))
    }

    fn stores(&self, keystore: &Path) -> String {
        format!(
            "ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
            keystore.display(),
            self.ca().display()
        )
    }

    /// Makes a key and a certificate for it, apart as clients want them and in one file as Kafka wants them.
    fn certify(&self, name: &str) -> Result<()> {
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        os::write_private(&self.file(&key), "")?;
        let mut ask = self.openssl("req");
        ask.args(["-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        ask.args(["-keyout", &key, "-out", &request, "-subj", &format!("/CN={name}"), "-config", OPENSSL]);
        run(&mut ask)?;
        let serial = format!("0x{}", os::random_hex()?.get(..16).unwrap_or("1"));
        let mut sign = self.openssl("x509");
        sign.args(["-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", &serial]);
        sign.args(["-out", &certificate, "-days", DAYS, "-extfile", OPENSSL, "-extensions", "member"]);
        run(&mut sign)?;
        let read = |file: &str| {
            std::fs::read_to_string(self.file(file))
                .with_context(|| format!("cannot read {file} of the Kafka cluster"))
        };
        let both = read(&key)? + &read(&certificate)?;
        os::write_private(&self.file(format!("{name}.keystore.pem")), &both)?;
        std::fs::remove_file(self.file(&request)).with_context(|| format!("cannot remove {request}"))
    }

    fn openssl(&self, command: &str) -> Command {
        let mut openssl = Command::new("openssl");
        openssl.arg(command).current_dir(&self.folder).stdin(Stdio::null());
        openssl
    }

    fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }
}

impl User {
    /// The name, as in `sasl.username`; in access rules `User:<name>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The certificate: `ssl.certificate.location`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// The private key of the certificate, not encrypted: `ssl.key.location`.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join(format!("{}.key", self.name))
    }

    /// The file that holds the password and nothing else.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.join(format!("{}.password", self.name))
    }

    /// The password, which belongs in no output.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn password(&self) -> Result<String> {
        let file = self.password_file();
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    }
}

fn run(openssl: &mut Command) -> Result<()> {
    let output = openssl.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!(
            "openssl is not installed; it makes the certificates of a secure Kafka cluster (`apt-get install openssl`)"
        ),
        _ => anyhow!("cannot start `openssl`: {error}"),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl failed ({}): {}", output.status, said.trim());
    Ok(())
}
