use http::HeaderMap;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    replay::{CloneBody, Keep, Replay},
    source,
};

fn saved() -> Option<Saved<()>> {
    fn keep(policy: impl Replay<()>) -> Keep<()> {
        policy.keep(&())
    }
    match keep(CloneBody) {
        Keep::Saved(saved) => Some(saved),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Extension(u8);

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        prop::sample::select(vec![Method::GET, Method::POST, Method::OPTIONS, Method::PATCH]),
        "[A-Z!#$%&'*+.^_`|~0-9-]{1,40}".prop_map(|method| method.parse().unwrap()),
    ]
}

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(vec![
        Version::HTTP_09,
        Version::HTTP_10,
        Version::HTTP_11,
        Version::HTTP_2,
        Version::HTTP_3,
    ])
}

/// Origin form, absolute form and `*`, with paths and queries that are not ASCII too.
fn uri() -> impl Strategy<Value = Uri> {
    let authority = "([a-z%0-9]{1,5}(:[a-z]{0,3})?@)?([A-Za-z0-9.-]{1,20}|\\[::1\\])(:[0-9]{1,5})?";
    let path = "(/[a-zA-Z0-9._~!$&'()*+,;=:@é%-]{0,8}){0,4}(\\?[a-z0-9=&/?\u{e4}%+\"{}-]{0,12})?";
    let absolute = ("(https?|HTTPS|wss|a\\+b)", authority, path)
        .prop_map(|(scheme, authority, path)| format!("{scheme}://{authority}{path}"));
    let uri = prop_oneof![absolute, path.prop_map(|path| path), Just("*".to_owned())];
    uri.prop_filter_map("a URI", |uri| uri.parse().ok())
}

fn headers() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    // Few names, so that some repeat.
    let name = prop_oneof![
        prop::sample::select(vec!["accept", "cookie", "x-id", "x-request-id"])
            .prop_map(String::from),
        "[a-z0-9!#$%&'*+.^_`|~-]{1,30}",
    ];
    let value = vec(prop_oneof![Just(b'\t'), 32..=126u8, 128..=255u8], 0..40);
    let header = (name, value, any::<bool>()).prop_map(|(name, value, sensitive)| {
        let mut value = HeaderValue::from_bytes(&value).unwrap();
        value.set_sensitive(sensitive);
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
    });
    vec(header, 0..20)
}

prop_compose! {
    fn request()(
        method in method(),
        uri in uri(),
        version in version(),
        headers in headers(),
        removed in 0..20usize,
        extension in prop::option::of(any::<u8>().prop_map(Extension)),
    ) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        for (name, value) in &headers {
            request.headers_mut().append(name, value.clone());
        }
        // The order of a map from which something was taken away is another.
        if let Some((name, _)) = headers.get(removed) {
            request.headers_mut().remove(name);
        }
        if let Some(extension) = extension {
            request.extensions_mut().insert(extension);
        }
        request
    }
}

fn in_order(headers: &HeaderMap) -> Vec<(&str, &[u8], bool)> {
    let header = |(name, value)| {
        let (name, value): (&'_ HeaderName, &'_ HeaderValue) = (name, value);
        (name.as_str(), value.as_bytes(), value.is_sensitive())
    };
    headers.iter().map(header).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_made_from_a_copy_is_the_same(request in request()) {
        let copy = RequestCopy::of(&request, saved()).unwrap();
        let (authority, path_and_query) = copy.place();
        prop_assert_eq!(authority, request.uri().authority().map_or("", Authority::as_str));
        prop_assert_eq!(
            path_and_query,
            request.uri().path_and_query().map_or("", PathAndQuery::as_str)
        );
        prop_assert_eq!(source::of_uri(7, request.uri()), source::of(7, authority, path_and_query));
        let again = copy.into_request().unwrap();

        prop_assert_eq!(again.method(), request.method());
        prop_assert_eq!(again.uri(), request.uri());
        prop_assert_eq!(again.uri().to_string(), request.uri().to_string());
        prop_assert_eq!(again.uri().scheme_str(), request.uri().scheme_str());
        prop_assert_eq!(
            again.uri().authority().map(Authority::as_str),
            request.uri().authority().map(Authority::as_str)
        );
        prop_assert_eq!(again.version(), request.version());
        prop_assert_eq!(in_order(again.headers()), in_order(request.headers()));
        prop_assert_eq!(again.headers(), request.headers());
        prop_assert_eq!(
            again.extensions().get::<Extension>(),
            request.extensions().get::<Extension>()
        );
    }
}

#[test]
fn a_uri_without_a_path_stays_without_one() {
    for uri in ["https://example.com", "https://example.com?q", "/?", "?q", "example.com:443"] {
        let Ok(uri) = uri.parse::<Uri>() else { continue };
        let request = Request::builder().uri(uri.clone()).body(()).unwrap();
        let copy = RequestCopy::of(&request, saved()).unwrap();
        let again = copy.into_request().unwrap();
        assert_eq!(*again.uri(), uri);
        assert_eq!(again.uri().to_string(), uri.to_string());
    }
}
