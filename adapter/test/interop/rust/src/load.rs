//! Messages on pooled streams until the test has seen enough.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    Failure, Named, Outcome,
    clients::{self, Client},
    echo::{self, How},
};

#[derive(Deserialize)]
pub struct Load {
    name: String,
    workers: u64,
    size: usize,
}

#[derive(Default)]
struct Counts {
    ending: AtomicBool,
    done: AtomicU64,
    failures: Mutex<Vec<String>>,
}

struct Running {
    counts: Arc<Counts>,
    workers: JoinSet<()>,
}

static LOADS: LazyLock<Mutex<HashMap<String, Running>>> = LazyLock::new(Mutex::default);

pub async fn load(args: Load) -> Outcome {
    let client = clients::client(&args.name)?;
    let counts = Arc::new(Counts::default());
    let mut workers = JoinSet::new();
    for worker in 0..args.workers {
        workers.spawn(work(
            client.clone(),
            counts.clone(),
            worker << 32,
            args.size,
        ));
    }
    LOADS
        .lock()
        .unwrap()
        .insert(args.name, Running { counts, workers });
    Ok(json!(null))
}

async fn work(client: Client, counts: Arc<Counts>, seed: u64, size: usize) {
    for round in 0.. {
        if counts.ending.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = once(&client, &echo::pattern(size, seed | round)).await {
            counts.failures.lock().unwrap().push(error.to_string());
        }
        counts.done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn once(client: &Client, body: &[u8]) -> Result<(), Failure> {
    let mut stream = client.stream()?;
    let exchanged = timeout(
        Duration::from_secs(10),
        echo::exchange(How::Buffer, &mut stream, body),
    );
    let ended = exchanged
        .await
        .map_err(Failure::from)
        .and_then(|result| result);
    if ended.is_err() {
        stream.close().await?;
        return ended;
    }
    client.put_back(stream).await;
    Ok(())
}

pub async fn end_load(args: Named) -> Outcome {
    let running = LOADS.lock().unwrap().remove(&args.name);
    let Running { counts, workers } = running.ok_or_else(|| format!("no load on {}", args.name))?;
    counts.ending.store(true, Ordering::Relaxed);
    workers.join_all().await;
    let failures = counts.failures.lock().unwrap();
    Ok(json!({
        "done": counts.done.load(Ordering::Relaxed),
        "failed": failures.len(),
        "failures": failures.iter().take(5).collect::<Vec<_>>(),
    }))
}
