//! Asking a data folder: through the process that owns it, else by opening it.

use crate::clickhouse::{ANY_PORT, ClickHouse};
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::folder::{Access, DataFolder};

/// A folder that answers.
#[derive(Debug)]
pub enum Asked {
    /// It is open in this process.
    Own(Box<Pipeline>),
    /// Another process owns it.
    Other(ClickHouse),
}

impl Asked {
    /// Finds who answers for the folder of the settings.
    ///
    /// # Errors
    /// Exit code 2 when there is no such folder; as [`Pipeline::open`].
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
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
            Self::Other(clickhouse) => clickhouse,
        }
    }
}
