/// Each client's file, and the page that shows it.
const SHOWN: &[(&str, &str, &str)] = &[
    ("src/kube.rs", include_str!("../src/kube.rs"), CLIENTS),
    ("src/octocrab.rs", include_str!("../src/octocrab.rs"), CLIENTS),
    ("src/jsonrpsee.rs", include_str!("../src/jsonrpsee.rs"), CLIENTS),
    ("src/opentelemetry.rs", include_str!("../src/opentelemetry.rs"), CLIENTS),
    ("src/websocket.rs", include_str!("../src/websocket.rs"), CLIENTS),
    ("tests/wiremock.rs", include_str!("wiremock.rs"), TESTING),
];
const CLIENTS: &str = include_str!("../../../src/docs/clients.md");
const TESTING: &str = include_str!("../../../src/docs/testing.md");

#[test]
fn the_guide_shows_the_code_that_is_tested_here() {
    for (file, code, page) in SHOWN {
        assert!(page.contains(&format!("\n```rs\n{code}```\n")), "the guide does not show {file}");
    }
}

/// The code of a block with another language is tested where the guide is.
#[test]
fn the_guide_shows_no_other_code_that_is_not_tested() {
    let shown: usize =
        [CLIENTS, TESTING].iter().map(|page| page.matches("\n```rs\n").count()).sum();
    assert_eq!(shown, SHOWN.len());
}
