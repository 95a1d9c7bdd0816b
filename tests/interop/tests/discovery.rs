use http::{Request, StatusCode};

use crate::{
    http::{Body, Http, send},
    issuer::{issuer, url},
};

#[tokio::test]
async fn the_metadata_name_what_the_other_tests_use() {
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let request = Request::get(url(path)).body(Body::default()).unwrap();
        let (status, metadata) = send(Http::new(), request).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(metadata["issuer"], issuer());
        assert_eq!(metadata["token_endpoint"], url("/token"));
        assert_eq!(metadata["revocation_endpoint"], url("/token/revocation"));
        let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
        for method in
            ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]
        {
            assert!(methods.iter().any(|supported| supported == method), "{method}");
        }
    }
}
