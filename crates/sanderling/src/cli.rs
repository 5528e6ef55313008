//! What can be typed. Types only; what they do is in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

/// Rolls versioned SQL migrations over thousands of tenants, wave by wave, and stops by itself when they start to fail.
#[derive(Debug, Parser)]
#[command(
    name = "sanderling",
    version,
    max_term_width = 110,
    propagate_version = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "sanderling.toml"
    )]
    pub(crate) config: PathBuf,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but results and errors
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// No colours and no progress bar
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take the fleet to a version, wave by wave
    Up(Up),
    /// Take versions back from tenants, the newest first, wave by wave
    Down(Down),
    /// Take the newest version of tenants back and apply it again: two rollouts
    Redo(Redo),
    /// Show what `up` would do; changes nothing
    Plan(Plan),
    /// Show which versions tenants are at; changes nothing
    Status(Status),
    /// Check ledgers, catalogs and the control store against each other; changes nothing
    Verify(Verify),
    /// List, show and steer rollouts
    #[command(subcommand)]
    Rollout(Rollout),
    /// List and show tenants, pin them, let them go, cancel them in the rollouts that are active
    #[command(subcommand)]
    Tenants(Tenants),
    /// Set right what only a person may decide; audited
    #[command(subcommand)]
    Repair(Repair),
    /// Check settings, servers, rights and claims; take over fences
    Doctor(Doctor),
    /// Write a commented configuration, a tenant file and a first migration
    Init(Init),
    /// Watch a made-up fleet of 300 SQLite files go through a halt, a mended migration and a killed worker
    Demo(Demo),
    /// Write an empty migration with the next version
    New {
        /// What it does, in a few words: `add_invoices`
        name: String,
    },
    /// Ask control store, claims and hosts whether they answer
    Ping {
        /// Ask again until all answer, for at most so long: 30s, 5m
        #[arg(long, value_name = "DURATION")]
        wait: Option<String>,
    },
    /// Run a coordinator until stopped; any number may run, one leads
    Coordinator(Process),
    /// Run a worker until stopped; any number may run
    Worker(Worker),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages: sanderling.1, and one for each command
    Man {
        /// The directory to write into; it is made where it is missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// `sanderling plan`
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Write the plan to a file as well, for `up --plan FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print what would be sent to tenants, one text for each path, instead of the plan
    #[arg(long, conflicts_with = "out")]
    pub(crate) sql: bool,
}

/// Which tenants, to which version, how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Selection {
    /// The version to go to; the newest of the bundle if absent
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Only tenants that match all of these comma-separated terms: id=GLOB, label=value, label!=value, host=NAME
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) tenants: Option<String>,
    /// Waves instead of the configured ones: comma-separated [name=](N | N% | rest) or name:label=value
    #[arg(long, value_name = "LIST")]
    pub(crate) waves: Option<String>,
    /// Failed tenants tolerated in the whole rollout; limits of waves stay
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<u32>,
    /// Tenants in flight at once in the whole rollout
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,
    /// Also apply versions that are older than the newest one applied
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
}

/// What a plan file brings along, so that it cannot be typed beside it.
const SELECTION: [&str; 6] = [
    "to",
    "tenants",
    "waves",
    "max_failures",
    "concurrency",
    "allow_out_of_order",
];

/// `sanderling up`
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Carry out this plan, which `plan --out FILE` wrote, and no other: refused where fleet or migrations have changed
    #[arg(long, value_name = "FILE", conflicts_with_all = SELECTION)]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
    #[command(flatten)]
    pub(crate) measured: Measured,
}

/// `sanderling down`
#[derive(Debug, Args)]
pub(crate) struct Down {
    /// The newest version that may stay; 0 takes back all. If absent, the one below the newest that any of the tenants has
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) whom: Whom,
    /// Waves instead of the configured ones: comma-separated [name=](N | N% | rest) or name:label=value
    #[arg(long, value_name = "LIST")]
    pub(crate) waves: Option<String>,
    /// Failed tenants tolerated in the whole rollout; limits of waves stay
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<u32>,
    /// Tenants in flight at once in the whole rollout
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,
    #[command(flatten)]
    pub(crate) how: How,
    #[command(flatten)]
    pub(crate) measured: Measured,
}

/// `sanderling redo`
#[derive(Debug, Args)]
pub(crate) struct Redo {
    /// Tenants that match all of these comma-separated terms: id=GLOB, label=value, label!=value, host=NAME
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) tenants: String,
    /// Waves instead of the configured ones: comma-separated [name=](N | N% | rest) or name:label=value
    #[arg(long, value_name = "LIST")]
    pub(crate) waves: Option<String>,
    /// Failed tenants tolerated in each of the two rollouts; limits of waves stay
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<u32>,
    /// Tenants in flight at once in each of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,
    #[command(flatten)]
    pub(crate) how: How,
    #[command(flatten)]
    pub(crate) measured: Measured,
}

/// Whom `sanderling down` is about: nobody by default
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whom {
    /// Tenants that match all of these comma-separated terms: id=GLOB, label=value, label!=value, host=NAME
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) tenants: Option<String>,
    /// Every tenant of the registry
    #[arg(long)]
    pub(crate) all_tenants: bool,
}

/// How a rollout is begun
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct How {
    /// Plan and check only; changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Coordinate and work inside this process, whatever `claims.url` says
    #[arg(long)]
    pub(crate) embedded: bool,
}

/// Where metrics of a command go that ends by itself
#[derive(Debug, Args)]
pub(crate) struct Measured {
    /// Write metrics to this file as well, anew every few seconds, for the textfile collector of a node exporter
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,
}

/// `sanderling init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Take over what this directory has: .env, DATABASE_URL, DBMATE_* and a directory of migrations
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

/// `sanderling demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where: a new or empty directory, which is kept. A temporary one that is removed, if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// `sanderling status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only tenants that match all of these comma-separated terms
    #[arg(long, value_name = "SELECTOR", conflicts_with = "metrics_file")]
    pub(crate) tenants: Option<String>,
    /// Look at the schemas of this PostgreSQL database instead; needs no configuration, no store, and only SELECT
    #[arg(
        long,
        value_name = "URL",
        requires = "schemas",
        requires = "migrations",
        conflicts_with_all = ["tenants", "metrics_file"]
    )]
    pub(crate) discover: Option<String>,
    /// Which schemas are tenants: a pattern of LIKE, where _ stands for any one character
    #[arg(long, value_name = "PATTERN", requires = "discover")]
    pub(crate) schemas: Option<String>,
    /// The directory of migrations
    #[arg(long, value_name = "DIR", requires = "discover")]
    pub(crate) migrations: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) measured: Measured,
}

/// `sanderling verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Only tenants that match all of these comma-separated terms
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) tenants: Option<String>,
}

/// `sanderling rollout …`
#[derive(Debug, Subcommand)]
pub(crate) enum Rollout {
    /// List active rollouts, or all of them
    List {
        /// Ended ones as well
        #[arg(long)]
        all: bool,
    },
    /// Show one rollout: waves, failures by cause, what to type
    Show {
        /// The rollout; the newest one if absent
        id: Option<String>,
    },
    /// Follow a rollout until nothing moves any more; changes nothing. Exits as `up` would
    Watch {
        /// The rollout
        id: String,
        /// Begin with its first event, not with the next one
        #[arg(long)]
        from_start: bool,
    },
    /// Stop starts; what is in flight finishes the version at hand
    Pause {
        /// The rollout
        id: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a halted, paused or waiting rollout go on
    Resume {
        /// The rollout
        id: String,
        /// I have seen what failed
        #[arg(long)]
        acknowledge: bool,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Try targets again, and let the rollout go on
    #[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["failed", "class", "not_started", "amend"])))]
    Retry {
        /// The rollout
        id: String,
        /// All failed targets
        #[arg(long)]
        failed: bool,
        /// Only those that failed with this class of error
        #[arg(long, value_name = "CLASS")]
        class: Option<String>,
        /// Not those that failed: go on with those not begun, also with those that were skipped or cancelled one by one
        #[arg(long, conflicts_with_all = ["failed", "class"])]
        not_started: bool,
        /// All failed targets, with the corrected text of this migration; what applied the text before keeps it
        #[arg(long, value_name = "VERSION", conflicts_with_all = ["failed", "class", "not_started"], requires = "reason")]
        amend: Option<String>,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// Leave a tenant out of a rollout, or go past a gate
    Skip {
        /// The rollout
        id: String,
        #[command(flatten)]
        what: Skipped,
        /// Why, for the audit log
        #[arg(long)]
        reason: String,
    },
    /// End a rollout: what has not begun is cancelled, what is in flight finishes
    Cancel {
        /// The rollout
        id: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: String,
    },
}

/// `sanderling tenants …`
#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// List tenants: version, what is to be applied, who holds it, what became of it last; changes nothing
    List {
        /// Only tenants that match all of these comma-separated terms, as --tenants takes them
        selector: Option<String>,
    },
    /// Show one tenant: place, labels, version, hold, and its newest rollout with the cause; changes nothing
    Show {
        /// The tenant
        id: String,
    },
    /// Pin tenants: no rollout starts on them before the hold ends; what is in flight finishes
    Hold {
        /// Tenants that match all of these comma-separated terms; may be given several times
        #[arg(long, value_name = "SELECTOR", required = true)]
        tenants: Vec<String>,
        /// Why, for whoever finds it, and for the audit log
        #[arg(long)]
        reason: String,
        /// When it ends by itself: a time as 2026-12-01T06:00:00Z, or from now on, as 90m, 2h or 36h
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Let pinned tenants go; a rollout that waits for them goes on
    Release {
        /// Tenants that match all of these comma-separated terms; may be given several times
        #[arg(long, value_name = "SELECTOR", required = true)]
        tenants: Vec<String>,
    },
    /// Cancel these tenants in the rollouts that are active: what has not begun, and what is in flight and can be taken back
    Cancel {
        /// Tenants that match all of these comma-separated terms; may be given several times
        #[arg(long, value_name = "SELECTOR", required = true)]
        tenants: Vec<String>,
        /// Why, for the audit log
        #[arg(long)]
        reason: String,
    },
}

/// What `sanderling rollout skip` skips
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Skipped {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// The gate
    #[arg(long, value_name = "NAME")]
    pub(crate) gate: Option<String>,
}

/// `sanderling repair …`
#[derive(Debug, Subcommand)]
pub(crate) enum Repair {
    /// Say whether a statement of a transaction=off migration took effect, where nobody heard its end
    Step(RepairStep),
    /// Raise the control store's epochs to those of the tenants' fences, after the store was restored from a backup
    Epochs {
        /// Only tenants that match all of these comma-separated terms
        #[arg(long, value_name = "SELECTOR")]
        tenants: Option<String>,
        /// Why, for the audit log
        #[arg(long, required_unless_present = "dry_run")]
        reason: Option<String>,
        /// Only say what would be raised
        #[arg(long)]
        dry_run: bool,
    },
}

/// `sanderling repair step`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("word").required(true).args(["done", "again"])))]
pub(crate) struct RepairStep {
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: String,
    /// The migration
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: String,
    /// It took effect: the next attempt goes on behind it
    #[arg(long)]
    pub(crate) done: bool,
    /// It did not: the next attempt sends it again
    #[arg(long)]
    pub(crate) again: bool,
    /// Why, for the audit log
    #[arg(long)]
    pub(crate) reason: String,
}

/// `sanderling doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Make this control store the owner of a tenant's fence
    #[arg(long, requires = "tenant", requires = "reason")]
    pub(crate) take_fence: bool,
    /// The tenant
    #[arg(long, value_name = "ID", requires = "take_fence")]
    pub(crate) tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long, requires = "take_fence")]
    pub(crate) reason: Option<String>,
}

/// `sanderling worker`
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Only tenants that match all of these comma-separated terms: label=value, label!=value, host=NAME
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) serves: Option<String>,
    #[command(flatten)]
    pub(crate) process: Process,
}

/// `sanderling coordinator`, `sanderling worker`
#[derive(Debug, Args)]
pub(crate) struct Process {
    /// Answer /metrics, /livez and /readyz there, for example 127.0.0.1:9464; replaces `metrics.listen`
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Write logs as JSON lines
    #[arg(long)]
    pub(crate) log_json: bool,
}
