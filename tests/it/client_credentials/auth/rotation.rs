//! Secrets that change while a program runs.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tower_bearer::{ClientAuth, ClientCredentials, Secret, TokenCache, TokenError};

use crate::client_credentials::token_endpoint::*;

/// A file that goes away with the test.
struct File(PathBuf);

impl File {
    fn holding(content: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = Self(std::env::temp_dir().join(format!("secret-{}-{n}", std::process::id())));
        file.write(content);
        file
    }

    fn write(&self, content: &str) {
        std::fs::write(&self.0, content).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A secret that a test changes.
#[derive(Clone)]
struct Vault(Arc<Mutex<(&'static str, u32)>>);

impl Vault {
    fn holding(secret: &'static str) -> Self {
        Self(Arc::new(Mutex::new((secret, 0))))
    }

    fn change(&self, secret: &'static str) {
        self.0.lock().unwrap().0 = secret;
    }

    fn reads(&self) -> u32 {
        self.0.lock().unwrap().1
    }

    fn secret(&self) -> Secret {
        let vault = self.clone();
        Secret::from_fn(move || {
            let mut inside = vault.0.lock().unwrap();
            inside.1 += 1;
            let secret = inside.0;
            async move { Ok::<_, TokenError>(secret) }
        })
    }
}

fn tokens(
    endpoint: &TokenEndpoint,
    id: impl Into<Secret>,
    auth: impl Into<ClientAuth>,
) -> TokenCache {
    let credentials = ClientCredentials::builder(endpoint.clone(), URL, id, auth);
    TokenCache::new(credentials.build().unwrap())
}

fn short() -> Answer {
    json(200, r#"{"access_token":"tok","expires_in":0}"#)
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_again_for_each_token() {
    let endpoint = TokenEndpoint::new([short(), short()]);
    let (id, secret) = (File::holding("id1\n"), File::holding("secret1\r\n\n"));
    let auth = ClientAuth::post(Secret::file(&secret.0));
    let tokens = tokens(&endpoint, Secret::file(&id.0), auth);
    tokens.token().await.unwrap();
    let form = "grant_type=client_credentials&client_id";
    assert_eq!(endpoint.last_request().body(), &*format!("{form}=id1&client_secret=secret1"));

    id.write("id2");
    secret.write(" secret 2 ");
    tokens.token().await.unwrap();
    assert_eq!(endpoint.last_request().body(), &*format!("{form}=id2&client_secret=+secret+2+"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_missing_for_a_moment_does_no_harm() {
    let endpoint = TokenEndpoint::new([token()]);
    let file = File::holding("");
    let tokens = tokens(&endpoint, "id", Secret::file(&file.0));
    let waiting = tokio::spawn(async move { tokens.token().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    file.write("secret");
    assert_eq!(waiting.await.unwrap().unwrap().expose(), "tok");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_is_an_error_that_may_pass() {
    let empty = File::holding("\r\n");
    let binary = File::holding("");
    std::fs::write(&binary.0, b"SENSITIVE\xff").unwrap();
    let failing = || Secret::from_fn(async || Err::<String, _>(std::io::Error::other("no vault")));
    let nothing = || Secret::from_fn(async || Ok::<_, TokenError>(""));
    for (secret, words) in [
        (Secret::file("/nonexistent/secret"), "`/nonexistent/secret`"),
        (Secret::file(&empty.0), "is empty"),
        (Secret::file(&binary.0), "the file `"),
        (failing(), "no vault"),
        (nothing(), "is empty"),
    ] {
        let endpoint = TokenEndpoint::default();
        let error = tokens(&endpoint, "id", secret).token().await.expect_err("no secret");
        assert!(error.is_transient() && endpoint.requests() == 0, "{error:?}");
        assert!(shown(&error).contains(words), "{}", shown(&error));
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_file_of_a_secret_is_not_read() {
    let large = File::holding(&"x".repeat(64 * 1024 + 1));
    let directory = std::env::temp_dir();
    let device = cfg!(unix).then(|| PathBuf::from("/dev/null"));
    for path in [large.0.clone(), directory].into_iter().chain(device) {
        let endpoint = TokenEndpoint::default();
        let error =
            tokens(&endpoint, "id", Secret::file(&path)).token().await.expect_err("a secret");
        assert!(error.is_config() && endpoint.requests() == 0, "{error:?}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_symbolic_link_is_followed_as_kubernetes_makes_them() {
    let endpoint = TokenEndpoint::new([short(), short()]);
    let (first, second) = (File::holding("first"), File::holding("second"));
    let link = File(first.0.with_extension("link"));
    std::os::unix::fs::symlink(&first.0, &link.0).unwrap();
    let tokens = tokens(&endpoint, "id", ClientAuth::post(Secret::file(&link.0)));
    tokens.token().await.unwrap();
    assert!(endpoint.last_request().body().ends_with(b"client_secret=first"));

    let next = File(second.0.with_extension("link"));
    std::os::unix::fs::symlink(&second.0, &next.0).unwrap();
    std::fs::rename(&next.0, &link.0).unwrap();
    tokens.token().await.unwrap();
    assert!(endpoint.last_request().body().ends_with(b"client_secret=second"));
}

#[tokio::test(start_paused = true)]
async fn a_closures_own_refusal_arrives_as_it_is() {
    let endpoint = TokenEndpoint::default();
    let refused = || Secret::from_fn(async || Err::<String, _>(TokenError::refused("sealed")));
    let error = tokens(&endpoint, "id", refused()).token().await.expect_err("no secret");
    assert!(error.is_refused(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_denial_of_a_secret_that_has_changed_is_not_final() {
    let vault = Vault::holding("old");
    let changes = vault.clone();
    let refuses = || json(401, r#"{"error":"invalid_client"}"#);
    let endpoint = TokenEndpoint::new([refuses(), token()]);
    let inner = endpoint.clone();
    let client = tower::service_fn(move |request| {
        changes.change("new");
        tower::Service::call(&mut inner.clone(), request)
    });
    let auth = ClientAuth::post(vault.secret());
    let credentials = ClientCredentials::builder(client, URL, "id", auth).build().unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(TokenCache::new(credentials).token().await.unwrap().expose(), "tok");
    assert!(before.elapsed().is_zero(), "at once");
    assert_eq!(endpoint.requests(), 2);
    let body = endpoint.last_request().into_body();
    assert!(body.ends_with(b"client_secret=new"), "{body:?}");
}

#[tokio::test(start_paused = true)]
async fn a_denial_of_a_secret_that_is_the_same_is_final() {
    let vault = Vault::holding("same");
    let endpoint = TokenEndpoint::new([json(401, "")]);
    let error = tokens(&endpoint, "id", vault.secret()).token().await.expect_err("a token");
    assert!(error.is_refused());
    assert_eq!((endpoint.requests(), vault.reads()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_second_denial_is_final_even_if_the_secret_has_changed() {
    let next = Arc::new(AtomicU32::new(0));
    let secret = Secret::from_fn(move || {
        let n = next.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, TokenError>(format!("secret{n}")) }
    });
    let endpoint = TokenEndpoint::new([json(401, ""), json(401, "")]);
    let error = tokens(&endpoint, "id", secret).token().await.expect_err("a token");
    assert!(error.is_refused());
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_read_again_for_a_second_attempt() {
    let vault = Vault::holding("secret");
    let endpoint = TokenEndpoint::new([json(503, ""), token()]);
    tokens(&endpoint, vault.secret(), ClientAuth::post(vault.secret())).token().await.unwrap();
    assert_eq!((endpoint.requests(), vault.reads()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_known_later_is_checked_then() {
    let secret =
        |text: &'static str| Secret::from_fn(move || async move { Ok::<_, TokenError>(text) });
    let endpoint = TokenEndpoint::default();
    for (id, auth) in [
        (secret("a:SENSITIVE"), ClientAuth::basic_unencoded("secret")),
        ("id".into(), ClientAuth::basic_unencoded(secret("SENSITIVE\n"))),
        ("id".into(), ClientAuth::header(secret("Bearer SENSITIVE\n"))),
        ("id".into(), ClientAuth::assertion(secret("SENSITIVE b"))),
        ("id".into(), ClientAuth::assertion(secret("SENSITIVÉ"))),
    ] {
        let error = tokens(&endpoint, id, auth).token().await.expect_err("a bad secret");
        assert!(error.is_config() && endpoint.requests() == 0, "{error:?}");
        assert!(!shown(&error).contains("SENSITIV"), "{}", shown(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_kept_out_of_errors_like_any_secret() {
    let secret = || Secret::from_fn(async || Ok::<_, TokenError>("SENSITIVE-1"));
    let body = r#"{"error":"invalid_client","error_description":"got SENSITIVE-1"}"#;
    for auth in [
        ClientAuth::basic(secret()),
        ClientAuth::basic_unencoded(secret()),
        ClientAuth::post(secret()),
        ClientAuth::legacy_query(secret()),
        ClientAuth::assertion(secret()),
        ClientAuth::header(Secret::from_fn(async || Ok::<_, TokenError>("ID SENSITIVE-1"))),
    ] {
        let endpoint = TokenEndpoint::new([json(401, body)]);
        let error = tokens(&endpoint, "id", auth.clone()).token().await.expect_err("a token");
        assert_eq!(error.description(), Some("[left out: it repeats a secret]"), "{auth:?}");
        assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    }
    let endpoint = TokenEndpoint::new([json(401, body)]);
    let credentials = endpoint.credentials().secret_param("subject_token", secret());
    let error = TokenCache::new(credentials.build().unwrap()).token().await.expect_err("a token");
    assert_eq!(error.description(), Some("[left out: it repeats a secret]"));
}

#[tokio::test(start_paused = true)]
async fn a_byte_order_mark_is_no_part_of_a_secret() {
    let endpoint = TokenEndpoint::new([short()]);
    let secret = File::holding("\u{feff}secret1\r\n");
    let auth = ClientAuth::post(Secret::file(&secret.0));
    tokens(&endpoint, Secret::from("id"), auth).token().await.unwrap();
    assert!(endpoint.last_request().body().ends_with(b"client_secret=secret1"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_closure_loses_the_query_of_a_url() {
    let secret = Secret::from_fn(|| async {
        Err::<String, tower_bearer::BoxError>("GET https://vault.example/x?key=S3CR3T: 403".into())
    });
    let endpoint = TokenEndpoint::new([]);
    let credentials = ClientCredentials::builder(endpoint, URL, "id", ClientAuth::post(secret));
    let error = TokenCache::new(credentials.build().unwrap()).token().await.unwrap_err();
    assert!(!format!("{error:?}").contains("S3CR3T"), "{error:?}");
}
