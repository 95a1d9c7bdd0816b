use std::time::Duration;

use http::header::{CONTENT_TYPE, DATE};
use serde_json::Value;

use crate::record::Exchange;

/// The members of a token response whose value is not a secret.
const SHOWN: [&str; 6] =
    ["token_type", "expires_in", "scope", "error", "error_description", "error_uri"];

/// Prints the response without its secrets.
pub fn show(exchange: &Exchange, secret: &str) {
    let (head, body) = (&exchange.answer, exchange.answer.body());
    println!("  {} -> {}", exchange.asked, head.status());
    for name in [CONTENT_TYPE, DATE] {
        if let Some(value) = head.headers().get(&name) {
            println!("    {name}: {}", clean(&String::from_utf8_lossy(value.as_bytes()), secret));
        }
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => {
            for (name, value) in members {
                println!("    {}: {}", clean(&name, secret), shown(&name, &value, secret));
            }
        }
        _ => println!("    a body of {} bytes that is no JSON object, not shown", body.len()),
    }
}

fn shown(name: &str, value: &Value, secret: &str) -> String {
    match value {
        Value::String(text) if SHOWN.contains(&name) => format!("\"{}\"", clean(text, secret)),
        Value::String(text) => format!("[redacted, {} characters]", text.chars().count()),
        Value::Array(items) => format!("[a list of {}]", items.len()),
        Value::Object(members) => format!("{{an object of {}}}", members.len()),
        other => other.to_string(),
    }
}

fn clean(text: &str, secret: &str) -> String {
    let text = match secret {
        "" => text.to_owned(),
        secret => text.replace(secret, "[redacted]"),
    };
    text.chars().flat_map(char::escape_debug).take(300).collect()
}

/// Returns what differs from RFC 6749 and RFC 6750, and what else is worth knowing.
pub fn unusual(exchange: &Exchange) -> Vec<String> {
    let answer = &exchange.answer;
    let mut notes = Vec::new();
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        notes.push("the content type is not `application/json`".to_owned());
    }
    notes.extend(skew(exchange));
    if !answer.status().is_success() {
        return notes;
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(answer.body()) else {
        notes.push("the answer is no JSON object".to_owned());
        return notes;
    };
    match members.get("expires_in") {
        None | Some(Value::Null) => notes.push("there is no `expires_in`".to_owned()),
        Some(Value::String(_)) => notes.push("`expires_in` is a text".to_owned()),
        Some(Value::Number(number)) if !number.is_u64() => {
            notes.push(format!("`expires_in` is {number}, no whole number"));
        }
        Some(Value::Number(number)) if number.as_u64() == Some(0) => {
            notes.push("`expires_in` is 0: expired, or never with `zero_means_never`".to_owned());
        }
        Some(Value::Number(number)) if number.as_u64() > Some(1_000_000) => {
            notes.push(format!("`expires_in` is {number}: milliseconds, perhaps"));
        }
        Some(Value::Number(_)) => {}
        Some(_) => notes.push("`expires_in` is neither a number nor a text".to_owned()),
    }
    match members.get("token_type") {
        None => notes.push("there is no `token_type`".to_owned()),
        Some(Value::String(text)) if text == "Bearer" => {}
        Some(_) => notes.push("`token_type` is not spelt `Bearer`".to_owned()),
    }
    match members.get("access_token") {
        Some(Value::String(token)) => {
            let is_b64 = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
            if !token.chars().all(is_b64) {
                notes.push("the token has characters that a `b64token` has not".to_owned());
            }
            if token.len() > 4096 {
                notes.push(format!("the token is {} bytes long: servers have limits", token.len()));
            }
        }
        _ => notes.push("there is no text `access_token`: see `token_at`".to_owned()),
    }
    if members.contains_key("refresh_token") {
        notes.push("there is a `refresh_token`, which is ignored".to_owned());
    }
    notes
}

fn skew(exchange: &Exchange) -> Option<String> {
    let date = exchange.answer.headers().get(DATE)?.to_str().ok()?;
    let there = httpdate::parse_http_date(date).ok()?;
    let (ahead, skew) = match exchange.at.duration_since(there) {
        Ok(skew) => ("ahead of", skew),
        Err(error) => ("behind", error.duration()),
    };
    let seconds = skew.as_secs();
    (skew > Duration::from_secs(5))
        .then(|| format!("this machine's clock is {seconds} s {ahead} the issuer's"))
}

/// The access token in a response.
pub fn access_token(exchange: &Exchange) -> Option<String> {
    let value: Value = serde_json::from_slice(exchange.answer.body()).ok()?;
    Some(value.get("access_token")?.as_str()?.to_owned())
}
