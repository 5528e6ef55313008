//! Whether a process is fit to work, as it last found out itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a process's own loop says of itself, for the probe that asks whether it is ready.
#[derive(Debug)]
pub struct Pulse(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    trouble: Option<String>,
    stopping: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(State {
            last: None,
            trouble: None,
            stopping: false,
        }))
    }
}

impl Pulse {
    /// The control store has answered just now.
    pub fn beat(&self) {
        self.with(|state| (state.last, state.trouble) = (Some(Instant::now()), None));
    }

    /// The control store has not answered, and this is what was said instead.
    pub fn missed(&self, trouble: impl ToString) {
        self.with(|state| state.trouble = Some(trouble.to_string()));
    }

    /// It finishes what it has, and takes nothing new.
    pub fn stops(&self) {
        self.with(|state| state.stopping = true);
    }

    /// Whether it can work: it is not stopping, and the control store has answered within `lease`.
    ///
    /// # Errors
    /// Why it cannot, as a sentence.
    pub fn fit(&self, lease: Duration) -> Result<(), String> {
        self.with(|state| {
            if state.stopping {
                return Err("it is stopping and takes nothing new".to_owned());
            }
            let trouble = state.trouble.as_deref().unwrap_or("nothing was said");
            match state.last {
                None if state.trouble.is_none() => Err("it has only begun".to_owned()),
                None => Err(format!("the control store has not answered yet: {trouble}")),
                Some(last) if last.elapsed() > lease => Err(format!(
                    "the control store has not answered for {} s: {trouble}",
                    last.elapsed().as_secs()
                )),
                Some(_) => Ok(()),
            }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fit_while_the_store_answers_and_it_does_not_stop() {
        let (pulse, lease) = (Pulse::default(), Duration::from_secs(60));
        assert!(pulse.fit(lease).unwrap_err().contains("only begun"));
        pulse.missed("connection refused");
        assert!(pulse.fit(lease).unwrap_err().contains("connection refused"));
        pulse.beat();
        pulse.fit(lease).unwrap();
        pulse.missed("connection refused");
        pulse.fit(lease).unwrap();
        assert!(pulse.fit(Duration::ZERO).unwrap_err().contains("refused"));
        pulse.stops();
        assert!(pulse.fit(lease).unwrap_err().contains("stopping"));
    }
}
