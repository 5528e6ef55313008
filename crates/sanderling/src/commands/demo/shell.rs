//! Commands of the demo: said as they would be typed, and run.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sanderling_core::{Outcome, RolloutId, RolloutState};
use tokio::process::Command;

use crate::exit::Exit;
use crate::printer::Printer;
use crate::wiring::Wiring;

/// Between two looks at how far a rollout is.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The longest that it may take to be in the middle of a rollout.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory, and the program that is run in it.
pub(super) struct Shell {
    pub(super) printer: Printer,
    pub(super) program: PathBuf,
    pub(super) directory: PathBuf,
}

impl Shell {
    /// Says what comes next.
    pub(super) fn remark(&self, text: &str) {
        self.printer.result(&format!("\n# {text}"));
    }

    /// Shows a file.
    pub(super) fn shows(&self, file: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.directory.join(file))
            .with_context(|| format!("{file} cannot be read"))?;
        self.printer.result(&format!("$ cat {file}\n{text}"));
        Ok(())
    }

    /// Runs the program to its end, which must be this one.
    pub(super) async fn types(&self, args: &[&str], expected: Exit) -> anyhow::Result<()> {
        self.printer.result(&format!("$ {}", typed(args)));
        let ended = self.command(args).status().await?;
        self.ended(args, ended.code(), expected)
    }

    fn ended(&self, args: &[&str], code: Option<i32>, expected: Exit) -> anyhow::Result<()> {
        if code == Some(i32::from(expected.code())) {
            return Ok(());
        }
        bail!(
            "`{}` ended with {}, and the demo counted on {}; look in {}",
            typed(args),
            code.map_or_else(|| "a signal".to_owned(), |code| code.to_string()),
            expected.code(),
            self.directory.display()
        )
    }

    /// Runs the program and kills it as soon as this many tenants of the rollout are done and others are in hand.
    pub(super) async fn killed(
        &self,
        args: &[&str],
        wiring: &Wiring,
        id: &str,
        done: u64,
    ) -> anyhow::Result<()> {
        self.printer.result(&format!("$ {}", typed(args)));
        let mut child = self.command(args).kill_on_drop(true).spawn()?;
        let pid = child.id().unwrap_or_default();
        let store = wiring
            .store_if_any()
            .await?
            .context("the control store is gone")?;
        let (id, since) = (RolloutId::new(id), Instant::now());
        loop {
            let record = store.rollout(&id).await?.context("the rollout is gone")?;
            let rollout = &record.rollout;
            let so_far = rollout.outcomes().get(Outcome::Succeeded);
            if so_far >= done && !rollout.in_flight.is_empty() {
                break;
            }
            if rollout.state != RolloutState::Running || since.elapsed() > PATIENCE {
                bail!(
                    "the rollout is {} with {so_far} tenants done, and was to be interrupted at {done}; look in {}",
                    rollout.state,
                    self.directory.display()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        child.start_kill()?;
        let ended = child.wait().await?;
        if ended.code().is_some() {
            bail!("`{}` ended by itself before it was killed", typed(args));
        }
        self.printer.result(&format!("$ kill -9 {pid}"));
        Ok(())
    }

    /// The id of the newest rollout, as an operator copies it from what was said before.
    pub(super) async fn newest_rollout(&self) -> anyhow::Result<String> {
        let args = ["--json", "rollout", "list", "--all"];
        let listed = self.command(&args).stdout(Stdio::piped()).output().await?;
        let list: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
        let id = list[0]["rollout"].as_str().map(str::to_owned);
        id.context("there is no rollout")
    }

    /// The program in the demo's directory, with nothing of this process's own settings.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        if self.printer.is_json() {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("SANDERLING_");
            if ours {
                command.env_remove(name);
            }
        }
        command
    }
}

/// As it would be typed.
fn typed(args: &[&str]) -> String {
    let quoted = |arg: &&str| match arg.contains(' ') {
        true => format!("\"{arg}\""),
        false => (*arg).to_owned(),
    };
    let args: Vec<_> = args.iter().map(quoted).collect();
    format!("sanderling {}", args.join(" "))
}
