//! Mappings that come with the program, a file each in `presets`.

/// A mapping that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// The word by which a configuration uses it.
    pub name: &'static str,
    /// Its program. Its head says what it reads and what it was made from.
    pub code: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// Every preset, by name.
        pub const PRESETS: &[Preset] = &[$(
            Preset { name: $name, code: include_str!(concat!("../presets/", $name, ".jq")) },
        )*];
    };
}

presets![
    "atlantis",
    "cloudflare",
    "dynatrace",
    "fastly",
    "firehydrant",
    "flagger",
    "flagsmith",
    "flyway",
    "gerrit",
    "google_deploy",
    "google_monitoring",
    "harness",
    "liquibase",
    "mist",
    "newrelic",
    "octopus",
    "pulumi",
    "rootly",
    "serverless",
    "spinnaker",
    "split",
    "splunk_on_call",
    "statuspage",
    "teamcity",
];

/// The preset of a name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
