/// The fields of a configuration, without the secret.
#[derive(Clone)]
pub struct Recipe {
    pub fields: Vec<(String, String)>,
    pub params: Vec<(String, String)>,
}

impl Recipe {
    pub fn toml(&self) -> String {
        let mut lines: Vec<_> =
            self.fields.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        if self.needs_secret() {
            lines.push("client_secret_file = \"/run/secrets/issuer\"".to_owned());
        }
        for (name, value) in &self.params {
            lines.push(format!("params.{} = {}", quoted(name), quoted(value)));
        }
        lines.join("\n")
    }

    /// The configuration, with the secret.
    pub fn value(&self, secret: &str) -> serde_json::Value {
        let mut config = serde_json::Map::new();
        for (name, value) in &self.fields {
            config.insert(name.clone(), value.clone().into());
        }
        if self.needs_secret() {
            config.insert("client_secret".into(), secret.into());
        }
        let params = self.params.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        config.insert("params".into(), serde_json::Value::Object(params.collect()));
        config.into()
    }

    pub fn builder(&self) -> String {
        let auth = match self.method() {
            "client_secret_basic" => "secret",
            "client_secret_post" => "ClientAuth::post(secret)",
            "basic_unencoded" => "ClientAuth::basic_unencoded(secret)",
            "legacy_query" => "ClientAuth::legacy_query(secret)",
            "client_secret_jwt" => "ClientAuth::assertion(Jwt::new(JwtAlgorithm::HS256, secret))",
            _ => "ClientAuth::none()",
        };
        let (start, url) = match (self.field("token_endpoint"), self.field("issuer")) {
            (Some(url), _) => ("builder", url),
            (None, issuer) => ("discover", issuer.unwrap_or_default()),
        };
        let id = quoted(self.field("client_id").unwrap_or_default());
        let mut code = format!("ClientCredentials::{start}(client, {}, {id}, {auth})", quoted(url));
        let mut call = |text: &str| code.push_str(&format!("\n    .{text}"));
        match self.field("placement") {
            Some("json") => call("placement(Placement::Json)"),
            Some("query") => call("placement(Placement::Query)"),
            Some("legacy_get") => call("placement(Placement::LegacyGet)"),
            _ => {}
        }
        match self.field("grant_type") {
            Some("") => call("grant(Grant::without_type())"),
            Some(grant_type) => call(&format!("grant(Grant::of_type({}))", quoted(grant_type))),
            None => {}
        }
        if let Some(scope) = self.field("scope") {
            call(&format!("scope({})", quoted(scope)));
        }
        for (name, value) in &self.params {
            call(&format!("param({}, {})", quoted(name), quoted(value)));
        }
        code + "\n    .build()?"
    }

    pub fn method(&self) -> &str {
        self.field("token_endpoint_auth_method").unwrap_or("client_secret_basic")
    }

    /// The same configuration with another `token_endpoint_auth_method`.
    pub fn by(&self, method: &str) -> Self {
        let mut other = self.clone();
        other.fields.retain(|(name, _)| name != "token_endpoint_auth_method");
        other.fields.push(("token_endpoint_auth_method".to_owned(), method.to_owned()));
        other
    }

    pub fn needs_secret(&self) -> bool {
        !matches!(self.method(), "none" | "tls_client_auth" | "self_signed_tls_client_auth")
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }
}

/// A text as a literal of JSON and TOML, and of Rust if all characters are printable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
