//! ClickHouse's HTTP interface on a folder: `cargo run --example serve -- FOLDER [ADDRESS]`, then
//! `curl 'http://127.0.0.1:8123/?query=SELECT+version()'`. It ends with its standard input.

use std::io::Read;
use std::net::SocketAddr;

use streamgauge_embedded_clickhouse::{Engine, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder of the data is missing")?;
    let address: SocketAddr = arguments.next().unwrap_or_else(|| "127.0.0.1:8123".to_owned()).parse()?;
    let engine = Engine::open(folder.as_ref())?;
    let server = Server::start(engine.clone(), address).await?;
    println!("{}", server.url());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    engine.close();
    Ok(())
}
