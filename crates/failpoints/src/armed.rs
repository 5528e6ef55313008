//! What a moment does when the environment asks for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

/// Names the file that tells what was done.
const LOG: &str = "SANDERLING_FAILPOINTS_LOG";
/// Between two looks whether a held task may go on.
const LOOK: Duration = Duration::from_millis(5);

/// Does what is asked at the moment `name`; whether the moment's error is to be returned.
///
/// # Panics
/// When it is asked to, or asked for something that there is not: a test that hits nothing must not pass.
pub async fn reached(name: &'static str) -> bool {
    let Some(words) = asked(name) else {
        return false;
    };
    match words.split_once(':') {
        None if words == "abort" => {
            note(name, &words);
            std::process::abort();
        }
        None if words == "error" => {
            note(name, &words);
            return true;
        }
        Some(("hold", path)) => hold(name, &words, Path::new(path)).await,
        _ => panic!(
            "failpoint {name}: `return({words})` is not known; there are abort, error and hold:PATH"
        ),
    }
    false
}

/// The words of `return`, if it is this moment's turn.
fn asked(name: &'static str) -> Option<String> {
    static SETUP: Once = Once::new();
    // For the whole life of the process: what is forgotten here would disarm every moment.
    SETUP.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    fail::fail_point!(name, |words: Option<String>| words);
    None
}

async fn hold(name: &str, words: &str, path: &Path) {
    if !path.exists() {
        return;
    }
    note(name, words);
    while path.exists() {
        tokio::time::sleep(LOOK).await;
    }
}

/// One write per line, appended: many processes share the file.
fn note(name: &str, words: &str) {
    let Some(path) = std::env::var_os(LOG) else {
        return;
    };
    let line = format!("{} {name} {words}\n", std::process::id());
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{LOG}={}: {error}", path.display()));
}
