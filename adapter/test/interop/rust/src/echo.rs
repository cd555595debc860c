//! Messages that come back, every byte compared.

use serde::Deserialize;
use serde_json::json;
use shmipc::{buffer::BufferReader, compact::StreamExt, stream::Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};

use crate::{
    Failure, Outcome,
    clients::{self, Client},
};

/// The byte at any offset of any message of any stream is another one.
pub fn pattern(size: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend_from_slice(&x.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// By tokio's traits.
    #[default]
    Conn,
    /// With the zero-copy writer and reader.
    Buffer,
}

#[derive(Clone, Deserialize)]
pub struct Echo {
    name: String,
    streams: u64,
    /// Each stream sends each size `rounds` times and reads it back before the next.
    sizes: Vec<usize>,
    rounds: u64,
    #[serde(default)]
    how: How,
}

/// Returns the bytes that came back and were compared, and the messages.
pub async fn echo(args: Echo) -> Outcome {
    let client = clients::client(&args.name)?;
    let mut streams = JoinSet::new();
    for seed in 0..args.streams {
        streams.spawn(echo_stream(client.clone(), args.clone(), seed));
    }
    let (mut bytes, mut messages) = (0, 0);
    while let Some(ended) = streams.join_next().await {
        let (more_bytes, more_messages) = ended??;
        bytes += more_bytes;
        messages += more_messages;
    }
    Ok(json!({ "bytes": bytes, "messages": messages }))
}

async fn echo_stream(client: Client, args: Echo, seed: u64) -> Result<(usize, u64), Failure> {
    let mut stream = client.stream()?;
    let (mut bytes, mut messages) = (0, 0);
    for round in 0..args.rounds {
        for (at, &size) in args.sizes.iter().enumerate() {
            let body = pattern(size, seed << 40 | round << 8 | at as u64);
            exchange(args.how, &mut stream, &body)
                .await
                .map_err(|error| format!("stream {seed}, round {round}, {size} bytes: {error}"))?;
            bytes += size;
            messages += 1;
        }
    }
    stream.close().await?;
    Ok((bytes, messages))
}

/// Sends `body` and reads it back.
pub async fn exchange(how: How, stream: &mut Stream, body: &[u8]) -> Result<(), Failure> {
    match how {
        How::Conn => {
            let mut conn = StreamExt::new(stream.clone());
            conn.write_all(body).await?;
            conn.flush().await?;
            let mut got = vec![0; body.len()];
            conn.read_exact(&mut got).await?;
            compare(&got, body)
        }
        How::Buffer => {
            stream.reserve(body.len())?.copy_from_slice(body);
            stream.flush(false).await?;
            compare(&stream.read_exact_bytes(body.len()).await?, body)?;
            stream.recv_buf().release_previous_read();
            Ok(())
        }
    }
}

fn compare(got: &[u8], sent: &[u8]) -> Result<(), Failure> {
    if got == sent {
        Ok(())
    } else {
        Err("other bytes came back".into())
    }
}
