//! Servers this program runs, by name.

use std::{
    collections::HashMap,
    os::unix::net::SocketAddr as UnixAddress,
    sync::{LazyLock, Mutex},
};

use serde::Deserialize;
use serde_json::json;
use shmipc::{
    Error, Listener,
    buffer::BufferReader,
    config::Config,
    consts::MemMapType,
    stream::Stream,
    transport::{DefaultUnixListen, TransportListen},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{Failure, Named, Outcome, http};

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Echo,
    Http,
}

#[derive(Deserialize)]
pub struct Serve {
    name: String,
    #[serde(default)]
    network: String,
    address: String,
    kind: Kind,
    #[serde(default)]
    files: bool,
}

struct Server {
    /// To be removed when it ends, if it is a path.
    address: String,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

static SERVERS: LazyLock<Mutex<HashMap<String, Server>>> = LazyLock::new(Mutex::default);

/// Returns the port, 0 of a path.
pub async fn serve(args: Serve) -> Outcome {
    let mut config = Config::default();
    if args.files {
        config.mem_map_type = MemMapType::MemMapTypeDevShmFile;
    }
    let mut port = 0;
    let listener = if args.network == "tcp" {
        let bound = TcpListener::bind(&args.address).await?;
        port = bound.local_addr()?.port();
        Listener::new(Bound, bound, config).await?
    } else {
        let address = UnixAddress::from_pathname(&args.address)?;
        Listener::new(DefaultUnixListen, address, config).await?
    };
    let (stop, stopped) = oneshot::channel();
    let accepting = tokio::spawn(accept(listener, args.kind, stopped));
    let server = Server {
        address: args.address,
        stop,
        accepting,
    };
    SERVERS.lock().unwrap().insert(args.name, server);
    Ok(json!(port))
}

/// shmipc's own does not tell which port it was given.
struct Bound;

impl TransportListen for Bound {
    type Listener = TcpListener;
    type Address = TcpListener;

    async fn listen(&self, bound: TcpListener) -> std::io::Result<TcpListener> {
        Ok(bound)
    }
}

async fn accept(mut listener: Listener, kind: Kind, mut stopped: oneshot::Receiver<()>) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(_) => return,
            },
            _ = &mut stopped => break,
        };
        tokio::spawn(async move {
            match kind {
                // What goes wrong shows at the other end.
                Kind::Echo => _ = echo(stream).await,
                Kind::Http => http::serve(stream).await,
            }
        });
    }
    listener.close().await;
}

async fn echo(mut stream: Stream) -> Result<(), Failure> {
    let mut writer = stream.clone();
    let ended = loop {
        match stream.read_chunk().await {
            Ok(chunk) => {
                writer.write_bytes(&chunk)?;
                drop(chunk);
                stream.recv_buf().release_previous_read();
                if let Err(error) = writer.flush(false).await {
                    break Err(error);
                }
            }
            Err(Error::EndOfStream) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    stream.close().await?;
    Ok(ended?)
}

pub async fn stop(args: Named) -> Outcome {
    let found = SERVERS.lock().unwrap().remove(&args.name);
    let server = found.ok_or_else(|| format!("no server named {}", args.name))?;
    // It may have ended by itself.
    _ = server.stop.send(());
    server.accepting.await?;
    if server.address.starts_with('/') {
        std::fs::remove_file(server.address)?;
    }
    Ok(json!(null))
}
