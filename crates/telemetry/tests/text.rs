//! What is recorded, as Prometheus reads it.

use std::time::Duration;

use sanderling_telemetry::catalogue::{BUILD_INFO, HALTS, LEADER, STORE_REQUESTS, WORKERS};
use sanderling_telemetry::{Board, Metrics, Samples};

#[test]
fn what_is_recorded_is_in_the_text_and_in_the_file() {
    let metrics = Metrics::install("prod", "worker", "1.2.3").unwrap();
    HALTS.more(["gate"], 0);
    HALTS.one(["max_failures"]);
    LEADER.set([], 1.0);
    BUILD_INFO.set(["we \"quote\"", "worker"], 1.0);
    STORE_REQUESTS.took(["report"], Duration::from_millis(7));
    let board = Board::new();
    let mut samples = Samples::default();
    samples.set(&WORKERS, [], 3.0);
    board.show(samples);
    metrics.upkeep();
    let text = metrics.render().unwrap();
    let bucket = "sanderling_store_request_duration_seconds_bucket{fleet=\"prod\",op=\"report\",le";
    for line in [
        "# TYPE sanderling_halts_total counter",
        "# TYPE sanderling_store_request_duration_seconds histogram",
        "# HELP sanderling_leader 1 in the coordinator that leads, 0 in the others",
        "sanderling_halts_total{fleet=\"prod\",rule=\"gate\"} 0",
        "sanderling_halts_total{fleet=\"prod\",rule=\"max_failures\"} 1",
        "sanderling_leader{fleet=\"prod\"} 1",
        "sanderling_workers{fleet=\"prod\"} 3",
        "sanderling_build_info{fleet=\"prod\",version=\"1.2.3\",process=\"worker\"} 1",
        &format!("{bucket}=\"0.005\"}} 0"),
        &format!("{bucket}=\"0.01\"}} 1"),
        "sanderling_store_request_duration_seconds_count{fleet=\"prod\",op=\"report\"} 1",
    ] {
        let found = text.lines().any(|found| found == line);
        assert!(found, "{line} is not in\n{text}");
    }
    assert!(text.contains(r#"version="we \"quote\"""#), "{text}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sanderling.prom");
    std::fs::write(&file, "former").unwrap();
    metrics.write(&file).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    // The series of a metric come in any order.
    assert_eq!(sorted(&written), sorted(&metrics.render().unwrap()));
    let beside = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(beside, 1, "nothing is left beside it");
    let nowhere = dir.path().join("no/such/directory.prom");
    let said = format!("{:#}", metrics.write(&nowhere).unwrap_err());
    assert!(said.contains("no/such/directory.prom"), "{said}");
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
