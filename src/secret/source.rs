//! A secret, and where it is read from: memory, a file or a closure.

use std::{
    fmt, fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::redactor::Redactor;
use crate::error::{BoxError, Kind, TokenError};

/// The most that a file may hold, in bytes.
const LARGEST: u64 = 64 * 1024;

/// A text that the client proves itself with: a secret, a password, a key, an assertion, or the id
/// that belongs to it.
///
/// Wherever one is taken a `&str`, a `String` or a [`SecretString`] will do. Those never change. One
/// that rotates is read again for each token request, from a [`file`](Self::file) or by a
/// [closure](Self::from_fn). If the issuer refuses a request because of a secret that has changed
/// meanwhile, the request is sent once more at once.
///
/// ```
/// # fn request<C>(client: C) -> Result<(), tower_bearer::TokenError> {
/// use tower_bearer::{ClientAuth, ClientCredentials, Secret};
///
/// let secret = ClientAuth::post(Secret::file("/run/secrets/issuer"));
/// let credentials =
///     ClientCredentials::builder(client, "https://issuer.example/token", "orders", secret)
///         .build()?;
/// # Ok(()) }
/// # request(()).unwrap();
/// ```
///
/// `Debug` shows where the text comes from and not the text.
#[derive(Clone)]
pub struct Secret {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Fixed(Arc<SecretString>),
    File(Arc<PathBuf>),
    Closure(Arc<Closure>),
}

type Closure = dyn Fn() -> SecretFuture + Send + Sync;
type SecretFuture = Pin<Box<dyn Future<Output = Result<SecretString, TokenError>> + Send>>;

impl Secret {
    /// The content of a file without the line breaks at its end, opened by its path each time. So a
    /// file may be replaced as Kubernetes does it, by moving a symbolic link.
    ///
    /// A file that is missing, empty or not in UTF-8 is a [transient](TokenError::is_transient)
    /// error, and is read once more shortly after, as it may be about to be replaced. What is no
    /// regular file, or larger than 64 KiB, is not read and [an error](TokenError::is_config) that
    /// stays.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { source: Source::File(Arc::new(path.into())) }
    }

    /// What an async closure returns, for secrets that a vault or an agent keeps.
    ///
    /// A [`TokenError`] that it returns arrives at the caller as it is; any other error, and an
    /// empty text, are [transient](TokenError::is_transient). It runs inside the fetch timeout.
    ///
    /// ```
    /// use tower_bearer::Secret;
    /// # #[derive(Clone)] struct Vault;
    /// # impl Vault { async fn read(&self, _: &str) -> std::io::Result<String> { Ok("".into()) } }
    /// # let vault = Vault;
    ///
    /// let secret = Secret::from_fn(move || {
    ///     let vault = vault.clone();
    ///     async move { vault.read("issuer").await }
    /// });
    /// ```
    pub fn from_fn<F, Fut, T, E>(read: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<SecretString>,
        E: Into<BoxError>,
    {
        let closure = move || -> SecretFuture {
            let reading = read();
            Box::pin(async move {
                let text = reading.await.map_err(|error| unread("their closure", error))?.into();
                if text.expose_secret().is_empty() {
                    return Err(unread("their closure", "the text is empty"));
                }
                Ok(text)
            })
        };
        Self { source: Source::Closure(Arc::new(closure)) }
    }

    /// The text, if it never changes.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match &self.source {
            Source::Fixed(text) => Some(text.expose_secret()),
            Source::File(_) | Source::Closure(_) => None,
        }
    }

    pub(crate) async fn read(&self) -> Result<SecretString, TokenError> {
        match &self.source {
            Source::Fixed(text) => Ok(SecretString::clone(text)),
            Source::File(path) => read_file(path, text_of)
                .await
                .map_err(|error| unread(&format!("the file `{}`", path.display()), error)),
            Source::Closure(read) => read().await,
        }
    }

    /// The bytes of a key: the text, or the content of a file as it is.
    pub(crate) async fn read_key(&self) -> Result<SecretSlice<u8>, TokenError> {
        if let Source::File(path) = &self.source {
            return read_file(path, |path| Ok(fs::read(path)?.into())).await.map_err(|error| {
                let message = format!(
                    "no sealing key can be read from the file `{}`, check that it is there",
                    path.display()
                );
                TokenError::config(message).with_source(error)
            });
        }
        let text = self.read().await.map_err(|error| {
            let message = "no sealing key can be read from its closure, the source says why";
            error.retold(message.to_owned()).with_source(error)
        })?;
        Ok(text.expose_secret().as_bytes().to_vec().into())
    }

    /// Both are read in the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::File(one), Source::File(other)) => one == other,
            (Source::Closure(one), Source::Closure(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

async fn read_file<T: Send + 'static>(
    path: &Arc<PathBuf>,
    read: fn(&Path) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let path = path.clone();
    let reading = tokio::task::spawn_blocking(move || check_file(&path).and_then(|()| read(&path)));
    reading.await.unwrap_or_else(|error| Err(error.into()))
}

fn text_of(path: &Path) -> Result<SecretString, BoxError> {
    let text = SecretString::from(fs::read_to_string(path)?);
    let text = text.expose_secret();
    // Some editors begin a file with a byte order mark.
    match text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\r', '\n']) {
        "" => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty").into()),
        trimmed => Ok(trimmed.into()),
    }
}

/// Not even opened: a pipe would wait for someone to write to it.
fn check_file(path: &Path) -> Result<(), BoxError> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        let message = format!(
            "`{}` is no regular file of at most 64 KiB, name the file that holds just the secret",
            path.display()
        );
        return Err(TokenError::config(message).into());
    }
    Ok(())
}

fn unread(place: &str, error: impl Into<BoxError>) -> TokenError {
    let error = error.into().downcast::<TokenError>().map(|ours| *ours);
    error.unwrap_or_else(|error| {
        let message = format!(
            "the client's credentials cannot be read from {place}, check that they are there"
        );
        let error = Redactor::default().redact_error(error);
        TokenError::new(Kind::Fetch, message).with_source(error).transient()
    })
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        SecretString::from(text).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        SecretString::from(text).into()
    }
}

impl From<SecretString> for Secret {
    fn from(text: SecretString) -> Self {
        Self { source: Source::Fixed(Arc::new(text)) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Fixed(_) => f.write_str("[redacted]"),
            Source::File(path) => write!(f, "Secret::file({path:?})"),
            Source::Closure(_) => f.write_str("Secret::from_fn(..)"),
        }
    }
}
