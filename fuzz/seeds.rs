//! Writes the test vectors as seeds to `corpus/`.

use std::{error::Error, fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

const LARGEST: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = |name: &str| -> Result<Vec<Value>, Box<dyn Error>> {
        let table = fs::read_to_string(root.join("../tests/vectors").join(name))?;
        table.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let write = |target: &str, name: String, seed: Vec<u8>| -> Result<(), Box<dyn Error>> {
        let directory = root.join("corpus").join(target);
        fs::create_dir_all(&directory)?;
        if seed.len() <= LARGEST {
            fs::write(directory.join(name), seed)?;
        }
        Ok(())
    };
    for row in rows("token-responses.jsonl")? {
        let body = match row["body"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => BASE64_STANDARD.decode(row["body_b64"].as_str().ok_or("no body")?)?,
        };
        let status = if row["status"] == 200 { 0 } else { 4 };
        for reading in 0..4 {
            let seed = [&[reading, status], &body[..]].concat();
            write(
                "token_response",
                format!("{}-{reading}", row["id"].as_str().ok_or("no id")?),
                seed,
            )?;
        }
    }
    let mapped = br#"{"data":[{"a/b":"tok"},3600000],"type":"bearer"}"#;
    write("token_response", "mapped".into(), [&[2, 0], &mapped[..]].concat())?;
    for row in rows("www-authenticate.jsonl")? {
        let lines: Vec<&str> = row["headers"]
            .as_array()
            .ok_or("no headers")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        write("challenge", row["id"].as_str().ok_or("no id")?.to_owned(), lines.join("\n").into())?;
    }
    let nonce = "cDPoP error=\"use_dpop_nonce\"\nneyJ7S_zG.eyJH0-Z.HX4w-7v";
    let invalid = "cDPoP error=\"invalid_token\"\nnother";
    write("nonce", "nonce".into(), [nonce, "\0", invalid, "\0", nonce].concat().into())?;
    write("nonce", "rejected".into(), [invalid, "\0", nonce].concat().into())?;
    Ok(())
}
