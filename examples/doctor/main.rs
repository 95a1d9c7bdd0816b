//! Asks a token endpoint for a token. Prints the response, what is unusual about it, and the builder
//! calls and the TOML for it.
//!
//! `cargo run --all-features --example doctor -- --demo` asks an issuer on this machine.

#![expect(unreachable_pub, reason = "an example exports nothing")]

mod args;
mod recipe;
mod record;
mod report;

use std::{env, process::ExitCode};

use tower_bearer::{
    BoxError, ClientCredentialsConfig, TokenCache, TokenError, testing::AuthorizationServer,
};

use crate::{args::Args, recipe::Recipe, record::Recorder};

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match examine(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether the issuer gave a token.
async fn examine(args: Args) -> Result<bool, BoxError> {
    if let Some(path) = &args.config {
        let config = toml::from_str(&std::fs::read_to_string(path)?)
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        return Ok(attempt(&config, "").await?.is_ok());
    }
    let server = if args.demo { Some(AuthorizationServer::start().await?) } else { None };
    let recipe = match &server {
        Some(server) => {
            server.client("demo", "s3cr3t");
            server.same_token_until_expiry();
            let fields =
                [("token_endpoint", server.token_endpoint()), ("client_id", "demo".into())];
            let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
            Recipe { fields, params: args.params }
        }
        None => Recipe { fields: args.fields, params: args.params },
    };
    let secret = match server {
        Some(_) => "s3cr3t".to_owned(),
        None if recipe.needs_secret() => secret()?,
        None => String::new(),
    };
    let mut outcome = try_out(&recipe, &secret).await?;
    let others = ["client_secret_basic", "basic_unencoded", "client_secret_post"];
    for method in others.into_iter().filter(|method| args.probe && *method != recipe.method()) {
        if outcome.as_ref().is_err_and(TokenError::is_refused) {
            outcome = try_out(&recipe.by(method), &secret).await?;
        }
    }
    Ok(outcome.is_ok())
}

async fn try_out(recipe: &Recipe, secret: &str) -> Result<Result<(), TokenError>, BoxError> {
    println!("\n== {}", recipe.method());
    // An error of serde may show the value that it is about.
    let config = serde_json::from_value(recipe.value(secret))
        .map_err(|_| "an option is not one of the configuration")?;
    let outcome = attempt(&config, secret).await?;
    if outcome.is_ok() {
        println!("\nin code:\n{}", recipe.builder());
        println!("\nin TOML:\n{}", recipe.toml());
    }
    Ok(outcome)
}

async fn attempt(
    config: &ClientCredentialsConfig,
    secret: &str,
) -> Result<Result<(), TokenError>, BoxError> {
    let client = Recorder::new()?;
    let fetch = async || {
        let credentials = config.clone().builder(client.clone())?.build()?;
        TokenCache::new(credentials).token().await
    };
    let outcome = fetch().await;
    let first = client.take();
    println!("what came back:");
    first.iter().for_each(|exchange| report::show(exchange, secret));
    let mut notes: Vec<_> = first.iter().flat_map(report::unusual).collect();
    println!("\nwhat the crate makes of it:");
    match &outcome {
        Ok(token) => match token.lifetime() {
            Some(lifetime) => println!("  a token that lasts {lifetime:?}"),
            None => println!("  a token that lasts nobody knows how long, taken as 300 s"),
        },
        Err(error) => {
            println!("  {error}");
            let kind = [
                (error.is_refused(), "refused: the same request gets the same answer"),
                (error.is_transient(), "transient: another attempt may do"),
                (error.is_config(), "a matter of configuration"),
            ];
            kind.iter().filter(|(is, _)| *is).for_each(|(_, words)| println!("  {words}"));
            if let Some(description) = error.description() {
                println!("  the issuer says: {description}");
            }
        }
    }
    if outcome.is_ok() {
        fetch().await?;
        let tokens = [&first, &client.take()]
            .map(|exchanges| exchanges.last().and_then(report::access_token));
        if tokens[0].is_some() && tokens[0] == tokens[1] {
            notes.push("a second request brought the same token".to_owned());
        }
    }
    println!("\nwhat is unusual:");
    if notes.is_empty() {
        println!("  nothing");
    }
    notes.iter().for_each(|note| println!("  {note}"));
    Ok(outcome.map(drop))
}

fn secret() -> Result<String, BoxError> {
    match env::var("CLIENT_SECRET") {
        Ok(secret) => Ok(secret),
        Err(env::VarError::NotPresent) => Ok(rpassword::prompt_password("client secret: ")?),
        Err(env::VarError::NotUnicode(_)) => Err("CLIENT_SECRET is not UTF-8".into()),
    }
}
