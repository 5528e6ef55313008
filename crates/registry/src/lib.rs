#![doc = include_str!("../README.md")]

pub mod migrations;
mod nearest;
mod problem;
mod server_url;
pub mod tenants;
mod url_template;

pub use migrations::Migrations;
pub use nearest::nearest;
pub use problem::{Problem, RegistryError};
pub use server_url::ServerUrl;
pub use tenants::{HostKind, ImplicitHost, Tenants};
pub use url_template::UrlTemplate;
