#![doc = include_str!("../README.md")]

mod port;

pub use port::{
    Catalog, Claim, Driver, EngineError, Evidence, FenceRefusal, Limits, Session, Step, StepOutcome,
};
