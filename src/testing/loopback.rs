use std::{
    future, io, mem,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

use crate::testing::{
    answer::{Answer, Ending},
    received::Received,
};

type AnswerBody = Either<Full<Bytes>, CutBody>;

/// An HTTP/1.1 server on `127.0.0.1`. Dropping it closes its socket and all its connections.
pub(super) struct Loopback {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Loopback {
    pub(super) async fn start<H, F>(handler: H) -> io::Result<Self>
    where
        H: Fn(Received) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, handler)).abort_handle();
        Ok(Self { address, accepting })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Received) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be closed soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let handler = handler.clone();
        let service = service_fn(move |request| {
            let handler = handler.clone();
            async move { respond(handler(receive(request).await?).await).await }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn receive(request: Request<Incoming>) -> io::Result<Received> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Received {
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        headers: parts.headers,
        body,
    })
}

/// An error makes hyper close the connection without a word.
async fn respond(answer: Answer) -> io::Result<Response<AnswerBody>> {
    let Answer { ending, status, mut headers, body } = answer;
    headers.remove(header::CONTENT_LENGTH);
    let body = match ending {
        Ending::Complete => Either::Left(Full::new(body)),
        Ending::CutInBody => {
            headers.insert(header::CONTENT_LENGTH, (body.len() + 1).into());
            Either::Right(CutBody::Data(body))
        }
        Ending::CutAtOnce => return Err(io::ErrorKind::ConnectionAborted.into()),
        Ending::Never => future::pending().await,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

enum CutBody {
    Data(Bytes),
    Flushing,
    Cut,
}

impl Body for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match mem::replace(&mut *self, Self::Cut) {
            Self::Data(data) => {
                *self = Self::Flushing;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            // hyper throws away what it has not written when a body fails, but writes all it has
            // when a body is pending.
            Self::Flushing => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Cut => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
        }
    }
}
