//! What `buffered` costs a body while it streams, against the same body without the layer.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/mod.rs"]
mod support;

use std::{
    error::Error,
    hint::black_box,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use bytes::Bytes;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime,
};
use http::{Request, Response, header::AUTHORIZATION};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tower::{Layer, Service, service_fn};
use tower_bearer::{BearerAuthLayer, BoxError};
use tower_http::set_header::SetRequestHeaderLayer;

use support::*;

const SIZES: [(&str, usize); 4] =
    [("1 KiB", 1 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20), ("16 MiB", 16 << 20)];

/// As much as hyper gives at once.
const FRAME: usize = 16 << 10;

const ABOVE: usize = 32 << 20;
const BELOW: usize = 512;

static KEY: LazyLock<LessSafeKey> =
    LazyLock::new(|| LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[0; 16]).unwrap()));

/// Slices of one buffer.
struct Slices {
    data: Bytes,
    exact: Option<u64>,
}

impl http_body::Body for Slices {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let length = self.data.len().min(FRAME);
        let data = (length > 0).then(|| self.data.split_to(length));
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// What a client of https does at the least: each frame becomes a record of TLS.
async fn send(request: Request<BoxBody>) -> Result<Response<Body>, BoxError> {
    let mut body = request.into_body();
    let mut record = Vec::with_capacity(FRAME + AES_128_GCM.tag_len());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
            record.clear();
            record.extend_from_slice(&data);
            KEY.seal_in_place_append_tag(nonce, Aad::empty(), &mut record).unwrap();
            black_box(&record);
        }
    }
    Ok(Response::new(Body::default()))
}

fn body(c: &mut Criterion) {
    let layer = BearerAuthLayer::new(cached(40));
    let within = layer.clone().buffered(ABOVE, BoxBody::new).layer(service_fn(send));
    let over = layer.clone().buffered(BELOW, BoxBody::new).layer(service_fn(send));
    let once = layer.no_replay().layer(service_fn(send));
    let fixed_header =
        SetRequestHeaderLayer::overriding(AUTHORIZATION, fixed(40)).layer(service_fn(send));

    let mut group = c.benchmark_group("body: read to its end");
    for (size, length) in SIZES {
        let data = Bytes::from(vec![b'a'; length]);
        let streamed = || Slices { data: data.clone(), exact: None };
        let sized = || Slices { data: data.clone(), exact: Some(length as u64) };
        let id = |name| BenchmarkId::new(name, size);

        group.throughput(Throughput::Bytes(length as u64));
        bench(&mut group, id("fixed header"), &fixed_header, streamed);
        bench(&mut group, id("no_replay"), &once, streamed);
        bench(&mut group, id("buffered, within the limit"), &within, streamed);
        bench(&mut group, id("buffered, over the limit"), &over, streamed);
        bench(&mut group, id("buffered, over the limit and says so"), &over, sized);
    }
    group.finish();
}

fn bench<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    client: &S,
    body: impl Fn() -> Slices,
) where
    S: Service<Request<BoxBody>, Error: std::fmt::Debug> + Clone,
{
    let mut client = client.clone();
    let request = || request(8).map(|_| BoxBody::new(body()));
    group.bench_function(id, |b| {
        b.iter_batched(request, |request| call(&mut client, request), BatchSize::SmallInput);
    });
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("body", body)
}
