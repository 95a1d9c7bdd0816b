//! Which challenges mean that a new token may help.

use http::{HeaderMap, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use serde_json::Value;
use tower_bearer::rejection::unauthorized;

fn rows() -> impl Iterator<Item = Value> {
    let table = include_str!("../../vectors/www-authenticate.jsonl");
    table.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn is_rejection(row: &Value, edit: impl Fn(&str) -> String) -> bool {
    let mut headers = HeaderMap::new();
    for line in row["headers"].as_array().unwrap() {
        let line = edit(line.as_str().unwrap());
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(&line).unwrap());
    }
    assert!(!unauthorized(StatusCode::FORBIDDEN, &headers), "{row}");
    unauthorized(StatusCode::UNAUTHORIZED, &headers)
}

#[test]
fn every_challenge_is_judged_as_the_table_says() {
    for row in rows() {
        assert_eq!(row["retry_on_401"], is_rejection(&row, str::to_owned), "{row}");
    }
    assert_eq!(rows().count(), 46);
}

/// With a reason that no new token mends in place of the common one, the outcome shows whether the
/// error was found where the table says, and nowhere else.
#[test]
fn the_error_is_found_where_the_table_says() {
    let mut found = 0;
    for row in rows() {
        let edit = |line: &str| {
            line.replace("invalid_token", "insufficient_scope")
                .replace("invalid\\_token", "insufficient\\_scope")
        };
        let is_found = ["invalid_token", "insufficient_scope"]
            .iter()
            .any(|error| row["expect"]["error"] == *error);
        assert_eq!(is_rejection(&row, edit), !is_found, "{row}");
        found += usize::from(is_found);
    }
    assert!(found > 20);
}
