#![doc = include_str!("../README.md")]

mod amend;
mod cut_off;
mod figures;
mod fleet;
mod fleet_watch;
mod gates;
mod history;
mod holds;
mod leader;
mod look;
mod planning;
mod refusal;
mod repair;
mod status;
mod tenants;
mod undo;
mod verify;
mod watch;

pub use amend::{AmendError, Amended, amend};
pub use cut_off::cut_off;
pub use fleet::Fleet;
pub use fleet_watch::{FleetWatch, Load};
pub use gates::{Provider, Providers};
pub use holds::select_any;
pub use leader::{Coordinator, CoordinatorOptions};
pub use planning::{PlanRequest, Planned, plan};
pub use refusal::{LookingError, PlanningError};
pub use repair::{Order, repair_epochs};
pub use status::{StatusReport, hosts_away, hosts_away_of, status};
pub use tenants::{TenantReport, tenant, tenants};
pub use verify::verify;
