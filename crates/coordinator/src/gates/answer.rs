//! The JSON that a Prometheus answers with.

use sanderling_core::gate::{Number, Reading};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

/// What an answer says. What cannot be read is no answer.
pub(super) fn read(text: &str) -> Reading {
    let body: Body = match serde_json::from_str(text) {
        Ok(body) => body,
        Err(error) => return Reading::Failed(format!("its answer cannot be read: {error}")),
    };
    if body.status != "success" {
        let error = body.error.unwrap_or_else(|| body.status.clone());
        return Reading::Failed(format!("it refuses: {}", cut(&error, 300)));
    }
    let Some(data) = body.data else {
        return Reading::Failed("its answer has no data".into());
    };
    let values: Option<Vec<Number>> = match data.result_type.as_str() {
        "vector" => data
            .result
            .as_array()
            .and_then(|series| series.iter().map(|one| number(one.get("value")?)).collect()),
        "scalar" => number(&data.result).map(|number| vec![number]),
        "matrix" => return Reading::WrongType("a range of values".into()),
        other => return Reading::WrongType(format!("a {}", cut(other, 40))),
    };
    values.map_or_else(
        || Reading::Failed("its answer has values that are no numbers".into()),
        Reading::Values,
    )
}

/// `[time, "value"]`
fn number(sample: &serde_json::Value) -> Option<Number> {
    Number::parse(sample.get(1)?.as_str()?)
}

/// A refusal by HTTP, with the reason where there is one.
pub(super) fn refused(status: u16, text: &str) -> String {
    let said = serde_json::from_str::<Body>(text)
        .ok()
        .and_then(|b| b.error);
    match said {
        Some(error) => format!("HTTP {status}: {}", cut(&error, 300)),
        None => format!("HTTP {status}"),
    }
}

/// At most so many bytes of a text.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
    format!("{}…", &text[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: &str, result: &str) -> Reading {
        read(&format!(
            r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#
        ))
    }

    fn values(values: &[f64]) -> Reading {
        Reading::Values(values.iter().copied().map(Number::new).collect())
    }

    #[test]
    fn the_shapes_of_an_answer() {
        let series = |value: &str| format!(r#"{{"metric":{{}},"value":[1.5,"{value}"]}}"#);
        let (one, two) = (series("0.25"), series("+Inf"));
        assert_eq!(data("vector", "[]"), values(&[]));
        assert_eq!(data("vector", &format!("[{one}]")), values(&[0.25]));
        assert_eq!(
            data("vector", &format!("[{one},{two}]")),
            values(&[0.25, f64::INFINITY])
        );
        assert_eq!(data("scalar", r#"[1.5,"NaN"]"#), values(&[f64::NAN]));
        assert_eq!(
            data("string", r#"[1.5,"0"]"#),
            Reading::WrongType("a string".into())
        );
        assert!(matches!(data("matrix", "[]"), Reading::WrongType(_)));
        for odd in [
            data("vector", r#"[{"metric":{}}]"#),
            data("vector", r#"[{"histogram":[1,{}]}]"#),
            data("vector", &format!("[{}]", series("much"))),
            data("vector", "{}"),
            data("scalar", "[1]"),
            read("<html>"),
            read("{}"),
            read(r#"{"status":"success"}"#),
            read(r#"{"status":"error","error":"parse error"}"#),
        ] {
            assert!(matches!(odd, Reading::Failed(_)), "{odd:?}");
        }
    }

    #[test]
    fn a_refusal_gives_its_reason() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(refused(400, body), "HTTP 400: parse error");
        assert_eq!(refused(502, "<html>"), "HTTP 502");
        assert_eq!(cut("aé", 2), "a…");
    }
}
