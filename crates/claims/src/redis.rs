//! Redis as the place of locks and wake-ups.

mod address;
mod circuit;
mod commands;
mod link;
mod sentinels;
mod server;
mod trouble;
mod wakes;

use std::time::Duration;

use async_trait::async_trait;
use sanderling_core::Nonce;

use crate::bell::Ear;
use crate::port::{Claims, ClaimsError, LockKey};
use commands::{Commands, Verb};
use link::Link;
use wakes::Wakes;

pub(crate) use server::Server;

/// A handle: one connection for commands, one for wake-ups.
pub(crate) struct RedisClaims {
    link: Link,
    commands: Commands,
    channel: String,
    ear: Ear,
    /// Listens for as long as the handle lives.
    _wakes: Wakes,
}

impl RedisClaims {
    /// Connects when first used. Must be called inside a Tokio runtime.
    pub(crate) fn new(server: Server, fleet: &str, ttl: Duration) -> Self {
        let channel = format!("{fleet}:wake");
        let patience = ttl / 3;
        let wakes = Wakes::start(server.clone(), channel.clone(), patience);
        Self {
            link: Link::new(server, patience),
            commands: Commands::new(fleet),
            channel,
            ear: wakes.listen(),
            _wakes: wakes,
        }
    }

    async fn each(
        &self,
        verb: Verb,
        locks: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        if locks.is_empty() {
            return Ok(Vec::new());
        }
        let pipeline = self.commands.pipeline(verb, locks, ttl);
        let answers: Vec<Vec<bool>> = self.link.send(&pipeline).await?;
        let answers = answers.concat();
        if answers.len() == locks.len() {
            return Ok(answers);
        }
        Err(self.link.error(format!(
            "{} answers to {} questions",
            answers.len(),
            locks.len()
        )))
    }
}

#[async_trait]
impl Claims for RedisClaims {
    async fn acquire(
        &self,
        wanted: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        self.each(Verb::Acquire, wanted, ttl).await
    }

    async fn renew(
        &self,
        held: &[(LockKey, Nonce)],
        ttl: Duration,
    ) -> Result<Vec<bool>, ClaimsError> {
        self.each(Verb::Renew, held, ttl).await
    }

    async fn release(&self, held: &[(LockKey, Nonce)]) -> Result<(), ClaimsError> {
        self.each(Verb::Release, held, Duration::ZERO)
            .await
            .map(drop)
    }

    async fn wake(&self) -> Result<(), ClaimsError> {
        let mut publish = redis::pipe();
        publish.cmd("PUBLISH").arg(&self.channel).arg("1").ignore();
        self.link.send(&publish).await
    }

    async fn wait(&self, timeout: Duration) {
        self.ear.wait(timeout).await;
    }
}
