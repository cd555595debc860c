//! The other end of the interop tests: shmipc for Rust, told what to do by its test.
//!
//! Each line of standard input is a command, {"id":1,"do":"echo",...}; each is run beside the others
//! and answered on descriptor 3 by {"id":1,"result":...} or {"id":1,"error":"..."}. It ends with its
//! standard input. The commands mean what they mean to the Go peer.

mod clients;
mod echo;
mod http;
mod load;
mod servers;

use std::{
    error::Error,
    fs::File,
    io::{BufRead, Write},
    os::fd::FromRawFd,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Any failure; the test reads its text.
pub type Failure = Box<dyn Error + Send + Sync>;
pub type Outcome = Result<Value, Failure>;

#[derive(Deserialize)]
struct Command {
    id: u64,
    r#do: String,
    #[serde(default)]
    args: Value,
}

/// What names a client, a server or a load.
#[derive(Deserialize)]
pub struct Named {
    pub name: String,
}

async fn run(command: &str, args: Value) -> Outcome {
    match command {
        "dial" => clients::dial(decode(args)?).await,
        "hangUp" => clients::hang_up(decode(args)?).await,
        "pooled" => clients::pooled(decode(args)?).await,
        "raceClose" => clients::race_close(decode(args)?).await,
        "statistics" => clients::statistics(decode(args)?).await,
        "echo" => echo::echo(decode(args)?).await,
        "load" => load::load(decode(args)?).await,
        "endLoad" => load::end_load(decode(args)?).await,
        "request" => http::request(decode(args)?).await,
        "serve" => servers::serve(decode(args)?).await,
        "stop" => servers::stop(decode(args)?).await,
        _ => Err(format!("no such command: {command}").into()),
    }
}

fn decode<A: DeserializeOwned>(args: Value) -> Result<A, serde_json::Error> {
    serde_json::from_value(args)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // SAFETY: the test opened it for this process, and nothing else uses it.
    let answers = Arc::new(Mutex::new(unsafe { File::from_raw_fd(3) }));
    let answer = |answers: &Mutex<File>, line: Value| {
        // The test is gone when this fails.
        if writeln!(answers.lock().unwrap(), "{line}").is_err() {
            std::process::exit(1);
        }
    };
    answer(&answers, json!({ "id": 0, "result": "ready" }));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || -> Result<(), Failure> {
        for line in std::io::stdin().lock().lines() {
            let Command { id, r#do, args } = serde_json::from_str(&line?)?;
            let answers = answers.clone();
            runtime.spawn(async move {
                let line = match run(&r#do, args).await {
                    Ok(result) => json!({ "id": id, "result": result }),
                    Err(error) => json!({ "id": id, "error": error.to_string() }),
                };
                answer(&answers, line);
            });
        }
        Ok(())
    })
    .await??;
    // Sessions that nobody hung up.
    std::process::exit(0)
}
