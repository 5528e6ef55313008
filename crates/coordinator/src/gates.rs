//! Asking providers: the only place that calls out, and only to what the configuration names.

mod answer;
mod asked;

pub(crate) use asked::Asked;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::redirect::Policy;
use sanderling_core::gate::{Gate, Measurement, Question, Reading, measure};
use sanderling_secrets::Reference;

/// An answer of a query is a few numbers; what is longer is not read to its end.
const LONGEST_ANSWER: usize = 1 << 20;
/// So much of an answer is kept as evidence.
const KEPT_ANSWER: usize = 2_000;

/// Providers by name, from `[gates.providers.<name>]`: nothing else is ever asked.
#[derive(Debug, Clone, Default)]
pub struct Providers(BTreeMap<String, Reference>);

/// One provider's answer, as text for the evidence and as what was read in it.
struct Answer {
    reading: Reading,
    text: String,
}

impl Providers {
    /// Providers with the URLs that lead to them. References in them are resolved when a question is asked.
    pub fn new(urls: BTreeMap<String, Reference>) -> Self {
        Self(urls)
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
        let reference = self.0.get(provider).ok_or_else(|| {
            format!("this coordinator knows no provider {provider}; add [gates.providers.{provider}] with a `url`")
        })?;
        let base = reference
            .resolve()
            .map_err(|error| format!("provider {provider}: {error}"))?;
        let url = endpoint(base.expose()).ok_or_else(|| {
            format!("provider {provider}: its `url` is no http:// or https:// URL")
        })?;
        // A fresh connection each time: minutes lie between two questions. No redirects and no proxy of the
        // environment: no other host is to hear of it.
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| format!("provider {provider}: {}", told(error)))?;
        let mut response = client
            .get(url)
            .query(&[("query", query)])
            .send()
            .await
            .map_err(|error| format!("provider {provider}: {}", told(error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| format!("provider {provider}: {}", told(error)))?
        {
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
