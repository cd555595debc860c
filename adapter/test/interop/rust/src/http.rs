//! HTTP/1.1 by hyper over streams of shmipc, as a client and as a server.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{self as client, SendRequest},
    header::{CONTENT_TYPE, HOST},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use shmipc::{compact::StreamExt, stream::Stream};
use tokio::task::JoinSet;

use crate::{
    Failure, Outcome,
    clients::{self, Client, Dial},
    echo,
};

#[derive(Clone, Deserialize)]
pub struct Requests {
    address: String,
    url: String,
    method: String,
    sizes: Vec<usize>,
    rounds: u64,
    concurrent: u64,
}

/// Posts bodies to an echoing URL, each worker over a stream it keeps, and compares what comes back.
/// Returns the requests answered and the streams opened for them.
pub async fn request(args: Requests) -> Outcome {
    let dial = Dial {
        name: "http".into(),
        address: args.address.clone(),
        ..Dial::default()
    };
    let client = clients::connect(dial).await?;
    let mut workers = JoinSet::new();
    for worker in 0..args.concurrent {
        workers.spawn(work(client.clone(), args.clone(), worker << 40));
    }
    let (mut answered, mut bytes) = (0, 0);
    while let Some(ended) = workers.join_next().await {
        let (more_answered, more_bytes) = ended??;
        answered += more_answered;
        bytes += more_bytes;
    }
    client.close().await;
    Ok(json!({ "answered": answered, "streams": args.concurrent, "bytes": bytes }))
}

async fn work(client: Client, args: Requests, seed: u64) -> Result<(u64, usize), Failure> {
    let stream = client.stream()?;
    let (mut sender, connection) = client::handshake(TokioIo::new(StreamExt::new(stream))).await?;
    let connection = tokio::spawn(connection);
    let (mut answered, mut bytes) = (0, 0);
    for round in 0..args.rounds {
        for (at, &size) in args.sizes.iter().enumerate() {
            let body = echo::pattern(size, seed | round << 8 | at as u64);
            bytes += exchange(&mut sender, &args, body)
                .await
                .map_err(|error| format!("{size} bytes: {error}"))?;
            answered += 1;
        }
    }
    drop(sender);
    connection.await??;
    Ok((answered, bytes))
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    args: &Requests,
    body: Vec<u8>,
) -> Result<usize, Failure> {
    let uri: Uri = args.url.parse()?;
    let request = Request::builder()
        .method(Method::from_bytes(args.method.as_bytes())?)
        .uri(uri.path())
        .header(HOST, uri.host().unwrap_or("app"))
        .header(CONTENT_TYPE, "application/octet-stream")
        .body(Full::new(Bytes::from(body.clone())))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let got = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&got)).into());
    }
    if got != body {
        return Err("other bytes came back".into());
    }
    Ok(got.len())
}

/// Answers each request of a stream with its body: `/stream` as it comes, anything else at once.
pub async fn serve(stream: Stream) {
    let io = TokioIo::new(StreamExt::new(stream.clone()));
    // An error here shows at the other end.
    _ = server::Builder::new()
        .serve_connection(io, service_fn(answer))
        .await;
    let mut stream = stream;
    _ = stream.close().await;
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<http_body_util::Either<Incoming, Full<Bytes>>>, Infallible> {
    use http_body_util::Either;
    if request.uri().path() == "/stream" {
        return Ok(Response::new(Either::Left(request.into_body())));
    }
    match request.into_body().collect().await {
        Ok(body) => Ok(Response::new(Either::Right(Full::new(body.to_bytes())))),
        Err(error) => {
            let mut response = Response::new(Either::Right(Full::new(error.to_string().into())));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}
