//! The subscription to a fleet's channel, on a connection of its own, for ever re-made.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rand::RngExt;
use redis::RedisResult;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::server::Server;
use super::trouble::Trouble;
use crate::bell::{Bell, Ear};

/// Between two tries to subscribe; the actual pause is random up to the bound, which doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A task that turns messages of the channel into rings. Ends on drop.
pub(super) struct Wakes {
    bell: Arc<Bell>,
    task: JoinHandle<()>,
}

impl Wakes {
    /// Subscribes in the background; `patience` bounds each answer of the server, and a whole subscription.
    pub(super) fn start(server: Server, channel: String, patience: Duration) -> Self {
        let bell = Arc::new(Bell::new());
        let task = tokio::spawn(listen_for_ever(
            server,
            channel,
            patience,
            Arc::clone(&bell),
        ));
        Self { bell, task }
    }

    pub(super) fn listen(&self) -> Ear {
        self.bell.listen()
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen_for_ever(server: Server, channel: String, patience: Duration, bell: Arc<Bell>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let subscribed = subscribe_until_broken(&server, &channel, patience, &bell).await;
        if let Err(error) = &subscribed {
            let error = server.error(error);
            tracing::debug!(%error, "no wake-ups until the claims server answers");
            pause = (pause * 2).min(LONGEST_PAUSE);
        } else {
            pause = FIRST_PAUSE;
        }
        let part = rand::rng().random_range(0.5..1.0);
        sleep(pause.mul_f64(part)).await;
    }
}

/// Ok once a subscription that worked has ended; an error when there was none.
async fn subscribe_until_broken(
    server: &Server,
    channel: &str,
    patience: Duration,
    bell: &Bell,
) -> Result<(), Trouble> {
    let subscribed = async {
        let client = server.client(patience).await?;
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(channel).await?;
        Ok(subscription)
    };
    let subscription = within(patience, subscribed).await?;
    // What was published before this moment went unheard.
    bell.ring();
    let (mut questions, mut messages) = subscription.split();
    let mut pulse = interval(patience);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse.tick().await;
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(_) => bell.ring(),
                None => return Ok(()),
            },
            // A silent connection may be a dead one.
            _ = pulse.tick() => {
                let alive = async {
                    let alive: RedisResult<redis::Value> = questions.ping().await;
                    Ok(alive?)
                };
                if within(patience, alive).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let answer = timeout(patience, answer).await;
    answer.unwrap_or_else(|_| Err(Trouble::silent(patience)))
}
