//! Who answers: the ClickHouse that is configured, else a data folder, through the process that owns it or by opening it.

use crate::clickhouse::{ANY_PORT, ClickHouse};
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::folder::{Access, DataFolder};

/// Who answers.
#[derive(Debug)]
pub enum Asked {
    /// A folder that is open in this process.
    Own(Box<Pipeline>),
    /// The process that owns the folder.
    Other(ClickHouse),
    /// The server that is configured.
    Server(ClickHouse),
}

impl Asked {
    /// Finds who answers for the settings.
    ///
    /// # Errors
    /// Exit code 2 when there is no such folder; as [`Pipeline::open`].
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(server) = &settings.clickhouse {
            return Ok(Self::Server(ClickHouse::configured(server)?));
        }
        match DataFolder::access(&settings.data, false)? {
            Access::Owned(folder) => {
                Ok(Self::Own(Box::new(Pipeline::in_folder(folder, settings, ANY_PORT)?)))
            }
            Access::Served(server) => Ok(Self::Other(ClickHouse::served(server.url)?)),
        }
    }

    /// Its ClickHouse.
    pub fn clickhouse(&self) -> &ClickHouse {
        match self {
            Self::Own(pipeline) => pipeline.clickhouse(),
            Self::Other(clickhouse) | Self::Server(clickhouse) => clickhouse,
        }
    }
}
