use std::env;

pub const USAGE: &str = "\
cargo run --all-features --example doctor -- --token-url URL --client-id ID [options]

  --issuer URL         in place of --token-url: read the issuer's metadata
  --auth METHOD        client_secret_basic (default), client_secret_post, basic_unencoded, none, ..
  --placement PLACE    form (default), json, query, legacy_get
  --grant-type TYPE    client_credentials by default
  --scope SCOPE        words separated by spaces
  --param NAME=VALUE   an additional parameter, may be repeated
  --config FILE        in place of all of the above: TOML
  --probe              after a refusal, try other ways to send the secret (each is a failed login)
  --demo               ask a server on this machine

The secret is taken from the environment variable CLIENT_SECRET, or asked for. It is never an
argument, since those are visible to everyone on the machine.";

#[derive(Default)]
pub struct Args {
    pub fields: Vec<(String, String)>,
    pub params: Vec<(String, String)>,
    pub config: Option<String>,
    pub probe: bool,
    pub demo: bool,
}

impl Args {
    pub fn read() -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            let field = match &*word {
                "--token-url" => "token_endpoint",
                "--issuer" => "issuer",
                "--client-id" => "client_id",
                "--auth" => "token_endpoint_auth_method",
                "--placement" => "placement",
                "--grant-type" => "grant_type",
                "--scope" => "scope",
                "--param" => {
                    let param = value()?;
                    let (name, value) = param.split_once('=').ok_or("--param wants NAME=VALUE")?;
                    args.params.push((name.to_owned(), value.to_owned()));
                    continue;
                }
                "--config" => {
                    args.config = Some(value()?);
                    continue;
                }
                "--probe" => {
                    args.probe = true;
                    continue;
                }
                "--demo" => {
                    args.demo = true;
                    continue;
                }
                _ => return Err(format!("{word} is no option")),
            };
            let value = value()?;
            args.fields.push((field.to_owned(), value));
        }
        let has = |name: &str| args.fields.iter().any(|(field, _)| field == name);
        let is_enough = args.demo
            || args.config.is_some()
            || (has("token_endpoint") || has("issuer")) && has("client_id");
        is_enough.then_some(args).ok_or_else(|| "name an endpoint and a client".to_owned())
    }
}
