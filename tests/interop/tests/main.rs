//! This crate against oidc-provider.

mod assertion;
mod certificate;
mod discovery;
mod dpop;
mod http;
mod issuer;
mod refusal;
mod revocation;
mod scope;
mod secret;
mod selection;
