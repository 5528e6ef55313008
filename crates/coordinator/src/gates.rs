//! Asking providers: the only place that calls out, and only to what the configuration names.

mod answer;
mod asked;

pub(crate) use asked::Asked;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use sanderling_core::gate::{Gate, Measurement, Question, Reading, measure};
use sanderling_secrets::Reference;

/// An answer of a query is a few numbers; what is longer is not read to its end.
const LONGEST_ANSWER: usize = 1 << 20;
/// So much of an answer is kept as evidence.
const KEPT_ANSWER: usize = 2_000;

/// One that answers queries, from `[gates.providers.<name>]`. References are resolved when a question is asked.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Where it is: `http://…` or `https://…`, with the path that its API is below.
    pub url: Reference,
    /// What is sent with each question: a token, the tenant of a shared provider. By name.
    pub headers: BTreeMap<String, Reference>,
    /// A file of certificates (PEM) that are trusted beside the system's own.
    pub ca: Option<PathBuf>,
}

/// Providers by name: nothing else is ever asked.
#[derive(Debug, Clone, Default)]
pub struct Providers(BTreeMap<String, Provider>);

/// One provider's answer, as text for the evidence and as what was read in it.
struct Answer {
    reading: Reading,
    text: String,
}

impl Providers {
    /// The providers that may be asked.
    pub fn new(providers: BTreeMap<String, Provider>) -> Self {
        Self(providers)
    }

    /// Asks a gate's question and says what the answer means. Comes back within the question's time, whatever the
    /// provider does.
    pub(crate) async fn measure(&self, gate: &Gate, question: &Question) -> Measurement {
        let limit = Duration::from_millis(question.timeout_ms);
        let value = self.ask(&question.provider, &question.query, limit);
        let (value, base) = match &question.baseline {
            None => (value.await, None),
            Some(query) => {
                let base = self.ask(&question.provider, query, limit);
                let (value, base) = futures::join!(value, base);
                (value, Some(base))
            }
        };
        let reading = base.as_ref().map(|base| &base.reading);
        let (result, number, why) = measure(gate, &value.reading, reading);
        let (mut query, mut answer) = (question.query.clone(), value.text);
        if let (Some(asked), Some(base)) = (&question.baseline, &base) {
            query = format!("{query}\nbaseline: {asked}");
            answer = format!("{answer}\nbaseline: {}", base.text);
        }
        Measurement {
            number: question.number,
            result,
            value: number,
            why,
            query,
            answer,
        }
    }

    async fn ask(&self, provider: &str, query: &str, limit: Duration) -> Answer {
        match tokio::time::timeout(limit, self.fetch(provider, query)).await {
            Ok(Ok((reading, text))) => Answer {
                reading,
                text: answer::cut(&text, KEPT_ANSWER),
            },
            Ok(Err(why)) => Answer::none(why),
            Err(_) => Answer::none(format!(
                "provider {provider} did not answer within {} ms",
                limit.as_millis()
            )),
        }
    }

    async fn fetch(&self, provider: &str, query: &str) -> Result<(Reading, String), String> {
        let configured = self.0.get(provider).ok_or_else(|| {
            format!("this coordinator knows no provider {provider}; add [gates.providers.{provider}] with a `url`")
        })?;
        let named = |why: String| format!("provider {provider}: {why}");
        let mut response = configured
            .request(query)
            .await
            .map_err(named)?
            .send()
            .await
            .map_err(|error| named(told(error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| named(told(error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(format!(
                    "provider {provider} answers with more than {LONGEST_ANSWER} bytes; aggregate in the query"
                ));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let reading = if status.is_success() {
            answer::read(&text)
        } else {
            Reading::Failed(answer::refused(status.as_u16(), &text))
        };
        Ok((reading.named(provider), text))
    }
}

impl Provider {
    /// A question, on a connection of its own: minutes lie between two. No redirects and no proxy of the environment:
    /// no other host is to hear of it.
    async fn request(&self, query: &str) -> Result<reqwest::RequestBuilder, String> {
        let base = self.url.resolve().map_err(|error| error.to_string())?;
        let url =
            endpoint(base.expose()).ok_or("its `url` is no http:// or https:// URL".to_owned())?;
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0);
        if let Some(file) = &self.ca {
            builder = builder.tls_certs_merge(certificates(file).await?);
        }
        let client = builder.build().map_err(told)?;
        let request = client.get(url).query(&[("query", query)]);
        Ok(request.headers(self.resolved_headers()?))
    }

    fn resolved_headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, reference) in &self.headers {
            let wrong = |why: &str| format!("header {name:?} {why}");
            let value = reference
                .resolve()
                .map_err(|error| wrong(&format!("has no value: {error}")))?;
            // Neither library's errors hold the value; ours must not either.
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| wrong("has a value that no header can carry, such as a line break"))?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong("is no name of a header"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// The certificates in a file, read anew each time: they are exchanged while coordinators run.
async fn certificates(file: &std::path::Path) -> Result<Vec<Certificate>, String> {
    let shown = file.display();
    let pem = tokio::fs::read(file)
        .await
        .map_err(|error| format!("`ca` {shown} cannot be read: {error}"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("`ca` {shown} holds no certificate (PEM)")),
    }
}

impl Answer {
    fn none(why: String) -> Self {
        Self {
            reading: Reading::Failed(why),
            text: String::new(),
        }
    }
}

/// A provider's name before what went wrong.
trait Named {
    fn named(self, provider: &str) -> Self;
}

impl Named for Reading {
    fn named(self, provider: &str) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("provider {provider}: {why}")),
            other => other,
        }
    }
}

/// Where a provider answers instant queries, below the path that it is configured with.
fn endpoint(base: &str) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(base).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(["api", "v1", "query"]);
    Some(url)
}

/// What went wrong, down to its root. Without the URL, which may hold a password.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut below = std::error::Error::source(&error);
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn queries_go_below_the_configured_path() {
        for (base, asked) in [
            ("http://p:9090", "http://p:9090/api/v1/query"),
            ("http://p:9090/", "http://p:9090/api/v1/query"),
            ("https://u:pw@p/prom/", "https://u:pw@p/prom/api/v1/query"),
            ("https://p/a?tenant=b", "https://p/a/api/v1/query?tenant=b"),
        ] {
            assert_eq!(endpoint(base).unwrap().as_str(), asked);
        }
        for base in ["file:///etc/passwd", "p:9090", ""] {
            assert!(endpoint(base).is_none(), "{base}");
        }
    }
}
