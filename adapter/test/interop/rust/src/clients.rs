//! Sessions this program opens, by name.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr as TcpAddress,
    os::unix::net::SocketAddr as UnixAddress,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use shmipc::{
    Error,
    config::{Config, SizePercentPair},
    consts::MemMapType,
    session::{SessionManager, SessionManagerConfig},
    stats::StatsSnapshot,
    stream::Stream,
    transport::{DefaultTcpConnect, DefaultUnixConnect},
};

use crate::{
    Failure, Named, Outcome,
    echo::{self, How},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dial {
    pub name: String,
    pub network: String,
    pub address: String,
    /// Memory in files: protocol 2.
    pub files: bool,
    pub memory: u32,
    pub queue: u32,
    pub slices: Vec<SizePercentPair>,
    pub sessions: usize,
    /// Offers the protocol's fourth version, and the third when that is refused.
    pub v4: bool,
    /// Milliseconds between a lost session and the next try; shmipc's default is a minute.
    pub rebuild_ms: u64,
}

impl Default for Dial {
    fn default() -> Self {
        let config = Config::default();
        Self {
            name: String::new(),
            network: "unix".into(),
            address: String::new(),
            files: false,
            memory: config.share_memory_buffer_cap,
            queue: config.queue_cap,
            slices: config.buffer_slice_sizes,
            sessions: 1,
            v4: false,
            rebuild_ms: 60_000,
        }
    }
}

/// A manager of sessions, over either kind of socket.
#[derive(Clone)]
pub enum Client {
    Unix(SessionManager<DefaultUnixConnect>),
    Tcp(SessionManager<DefaultTcpConnect>),
}

impl Client {
    pub fn stream(&self) -> Result<Stream, Error> {
        match self {
            Self::Unix(manager) => manager.get_stream(),
            Self::Tcp(manager) => manager.get_stream(),
        }
    }

    pub async fn put_back(&self, stream: Stream) {
        match self {
            Self::Unix(manager) => manager.put_back(stream).await,
            Self::Tcp(manager) => manager.put_back(stream).await,
        }
    }

    pub async fn close(&self) {
        match self {
            Self::Unix(manager) => manager.close().await,
            Self::Tcp(manager) => manager.close().await,
        }
    }

    fn statistics(&self) -> StatsSnapshot {
        match self {
            Self::Unix(manager) => manager.stats_snapshot(),
            Self::Tcp(manager) => manager.stats_snapshot(),
        }
    }
}

static CLIENTS: LazyLock<Mutex<HashMap<String, Client>>> = LazyLock::new(Mutex::default);

pub fn client(name: &str) -> Result<Client, Failure> {
    let clients = CLIENTS.lock().unwrap();
    clients
        .get(name)
        .cloned()
        .ok_or_else(|| format!("no session named {name}").into())
}

pub async fn dial(args: Dial) -> Outcome {
    let name = args.name.clone();
    let made = connect(args).await?;
    CLIENTS.lock().unwrap().insert(name, made);
    Ok(json!(null))
}

pub async fn connect(args: Dial) -> Result<Client, Failure> {
    let mut config = Config {
        share_memory_buffer_cap: args.memory,
        queue_cap: args.queue,
        buffer_slice_sizes: args.slices,
        rebuild_interval: Duration::from_millis(args.rebuild_ms),
        // Managers whose memory has one name share it, wherever they connect to.
        share_memory_path_prefix: format!("/dev/shm/rust_peer_{}", args.name),
        ..Config::default()
    };
    if args.files {
        config.mem_map_type = MemMapType::MemMapTypeDevShmFile;
    }
    if args.v4 {
        config = config.with_v4();
    }
    let config = SessionManagerConfig::new()
        .with_config(config)
        .with_session_num(args.sessions);
    Ok(if args.network == "tcp" {
        let address: TcpAddress = args.address.trim_start_matches("shm://").parse()?;
        Client::Tcp(SessionManager::new(config, DefaultTcpConnect, address).await?)
    } else {
        let address = UnixAddress::from_pathname(&args.address)?;
        Client::Unix(SessionManager::new(config, DefaultUnixConnect, address).await?)
    })
}

pub async fn hang_up(args: Named) -> Outcome {
    let gone = CLIENTS.lock().unwrap().remove(&args.name);
    gone.ok_or_else(|| format!("no session named {}", args.name))?
        .close()
        .await;
    Ok(json!(null))
}

/// Takes a stream, uses it, puts it back, takes one again; returns how many there were.
pub async fn pooled(args: Named) -> Outcome {
    let client = client(&args.name)?;
    let mut ids = HashSet::new();
    let mut stream = client.stream()?;
    for _ in 0..10 {
        echo::exchange(How::Buffer, &mut stream, b"pooled").await?;
        ids.insert(stream.stream_id());
        client.put_back(stream).await;
        stream = client.stream()?;
    }
    stream.close().await?;
    Ok(json!(ids.len()))
}

#[derive(Deserialize)]
pub struct RaceClose {
    name: String,
    streams: usize,
    size: usize,
}

/// Opens streams one after the other, writes on each and closes it at once, so that closes and data
/// cross.
pub async fn race_close(args: RaceClose) -> Outcome {
    let client = client(&args.name)?;
    let message = echo::pattern(args.size, 7);
    for i in 0..args.streams {
        let mut stream = client.stream()?;
        stream.write_bytes(&message)?;
        stream.flush(false).await?;
        if i % 2 == 0 {
            // Half of them when the answer is on its way.
            stream.read_chunk().await?;
        }
        stream.close().await?;
    }
    Ok(json!(null))
}

/// The fallbacks of a session, as shmipc counts them.
pub async fn statistics(args: Named) -> Outcome {
    let counted = client(&args.name)?.statistics();
    Ok(json!({
        "fallbackWrites": counted.fallback_write_count,
        "fallbackReads": counted.fallback_read_count,
    }))
}
