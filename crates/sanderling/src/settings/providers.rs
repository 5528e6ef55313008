//! `[gates.providers.<name>]`: the only hosts that gates ask.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use sanderling_coordinator::Provider;
use sanderling_secrets::Reference;

use super::reader::{Reader, below, path};
use super::url;

/// Where providers stand.
pub(super) const PROVIDERS: &str = "gates.providers";
/// What a request says by itself.
const OWN: [&str; 4] = ["host", "content-length", "connection", "transfer-encoding"];

/// The providers by name.
pub(super) fn read(reader: &mut Reader<'_>, base: &FilePath) -> BTreeMap<String, Provider> {
    let section = path(PROVIDERS);
    let mut providers = BTreeMap::new();
    for name in reader.names(&section) {
        let at = below(&section, &name);
        let url = url::read(reader, &below(&at, "url"), None, &["http", "https"], base);
        let ca = reader.text(&below(&at, "ca")).map(|file| base.join(file));
        let provider = Provider {
            url: url.reference().clone(),
            headers: headers(reader, &below(&at, "headers")),
            ca,
        };
        providers.insert(name, provider);
    }
    providers
}

fn headers(reader: &mut Reader<'_>, at: &[String]) -> BTreeMap<String, Reference> {
    let mut headers = BTreeMap::new();
    for name in reader.names(at) {
        let key = below(at, &name);
        // RFC 9110, section 5.6.2: a token.
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(legal) {
            reader.problem(&key, "is no name of an HTTP header");
        } else if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            reader.problem(
                &key,
                "is a header that each request has by itself; remove it",
            );
        }
        if let Some(value) = reader.text(&key) {
            headers.insert(name, Reference::new(value));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::super::tests::{more, problem};

    #[test]
    fn a_provider_has_headers_and_certificates() {
        let text = "[gates.providers.main]\nurl = 'https://prom'\nca = 'tls/ca.pem'\n\
                    headers = { Authorization = 'Bearer ${NOT_SET_HERE}', X-Scope-OrgID = 'prod' }\n";
        let settings = more(text);
        let provider = &settings.providers["main"];
        let names: Vec<_> = provider.headers.keys().map(String::as_str).collect();
        // Keys keep the case that the configuration library gives them; HTTP does not care.
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(provider.ca.as_ref().unwrap().ends_with("tls/ca.pem"));
        assert!(provider.ca.as_ref().unwrap().is_absolute());
    }

    #[test]
    fn what_is_wrong_with_a_provider_is_said_where_it_stands() {
        let main = |keys: &str| format!("[gates.providers.main]\n{keys}\n");
        for (text, says) in [
            (main("url = 'ftp://h'"), "one of http://, https://"),
            (main(""), "is missing"),
            (
                main("url = 'http://h'\nheaders = { Host = 'x' }"),
                "by itself",
            ),
            (
                main("url = 'http://h'\nheaders = { 'a b' = 'x' }"),
                "is no name",
            ),
            (
                main("url = 'http://h'\nheaders = { A = 1 }"),
                "must be a text",
            ),
            (main("url = 'http://h'\nheaders = 'hunter2'"), "headers"),
            (main("url = 'http://h'\ntoken = 'hunter2'"), "unknown"),
        ] {
            let said = problem(&text);
            assert!(said.contains(says), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
