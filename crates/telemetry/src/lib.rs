#![doc = include_str!("../README.md")]

mod board;
pub mod catalogue;
mod fleet;
mod hosts;
mod logs;
mod metric;
mod pulse;
mod recorder;
mod reference;
mod rollouts;

pub use board::{Board, Live, Samples};
pub use fleet::{Look, fleet};
pub use hosts::host_label;
pub use logs::{LogFormat, init};
pub use metric::{About, Counter, Gauge, Histogram, Kind, Sample};
pub use pulse::Pulse;
pub use recorder::{CONTENT_TYPE, Metrics, UPKEEP, is_recording};
pub use reference::reference;
pub use rollouts::{ACTIVE_ROLLOUTS, ENDED_ROLLOUTS, Pace, rollout};
