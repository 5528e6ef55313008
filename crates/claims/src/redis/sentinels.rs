//! Sentinels: who is master now?
//!
//! All of them are asked at once, and the first one wins that leads to a server which calls itself a master. The
//! others' answers are not waited for: a master that is one no longer costs a call, and the next call asks again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisConnectionInfo, Role,
};

use super::address::shown;
use super::trouble::{Failure, Trouble};
use crate::access::Access;

/// Sentinels that watch one master.
#[derive(Clone)]
pub(super) struct Sentinels {
    /// The sentinels, with their own credentials.
    pub(super) nodes: Vec<ConnectionInfo>,
    /// The name that they know the master by.
    pub(super) master: String,
    /// Credentials and database at the master.
    pub(super) at_server: RedisConnectionInfo,
}

/// A server that called itself a master just now.
pub(super) struct Master {
    pub(super) client: Client,
    pub(super) connection: MultiplexedConnection,
}

/// Addresses that are being looked at for some sentinel.
type Tried = Mutex<BTreeSet<(String, u16)>>;

impl Sentinels {
    /// The present master and a connection to it, made by `config`; each sentinel may take half of `patience`.
    ///
    /// # Errors
    /// When none leads to a master; says what each said.
    pub(super) async fn master(
        &self,
        access: &Access,
        config: &AsyncConnectionConfig,
        patience: Duration,
    ) -> Result<Master, Trouble> {
        let (half, tried) = (patience / 2, Tried::default());
        let ask = async |node: &ConnectionInfo| {
            let asked = self.ask(node, access, config, &tried);
            let answer = tokio::time::timeout(half, asked).await;
            answer.unwrap_or_else(|_| Err(Trouble::silent(half)))
        };
        let asked = self
            .nodes
            .iter()
            .enumerate()
            .map(|(i, node)| async move { (i, ask(node).await) });
        let mut answers: FuturesUnordered<_> = asked.collect();
        let mut troubles = Vec::new();
        while let Some((node, answer)) = answers.next().await {
            match answer {
                Ok(master) => return Ok(master),
                Err(trouble) => troubles.push((node, trouble)),
            }
        }
        troubles.sort_by_key(|(node, _)| *node);
        Err(self.none(&troubles))
    }

    /// Where one sentinel leads.
    async fn ask(
        &self,
        node: &ConnectionInfo,
        access: &Access,
        config: &AsyncConnectionConfig,
        tried: &Tried,
    ) -> Result<Master, Trouble> {
        let client = access.client(node.clone()).map_err(Trouble::broken)?;
        let unbounded = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let mut sentinel = client
            .get_multiplexed_async_connection_with_config(&unbounded)
            .await?;
        let named: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master)
            .query_async(&mut sentinel)
            .await?;
        let Some((host, port)) = named else {
            return Err(Trouble::broken(format!("knows no master {}", self.master)));
        };
        let info = self.at(node.addr(), host.clone(), port);
        let from = format!("names {}", shown(info.addr()));
        let first = tried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((host, port));
        if !first {
            return Err(Trouble::broken(format!("{from} too")));
        }
        confirm(info, access, config)
            .await
            .map_err(|trouble| trouble.seen(from))
    }

    /// The master's address, spoken to as its sentinel is.
    fn at(&self, sentinel: &ConnectionAddr, host: String, port: u16) -> ConnectionInfo {
        let addr = match sentinel {
            ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        // A sentinel's own settings differ from the server's only in what is set here.
        self.nodes[0]
            .clone()
            .set_addr(addr)
            .set_redis_settings(self.at_server.clone())
    }

    /// One word for what all of them said.
    fn none(&self, troubles: &[(usize, Trouble)]) -> Trouble {
        let silent = troubles
            .iter()
            .any(|(_, trouble)| trouble.failure == Failure::Silent);
        let each: Vec<_> = troubles
            .iter()
            .map(|(node, trouble)| format!("{} {trouble}", shown(self.nodes[*node].addr())))
            .collect();
        Trouble {
            failure: if silent {
                Failure::Silent
            } else {
                Failure::Broken
            },
            said: format!(
                "no sentinel leads to a master {}: {}",
                self.master,
                each.join("; ")
            ),
        }
    }
}

/// Asks the server itself: what a sentinel has heard may be old.
async fn confirm(
    info: ConnectionInfo,
    access: &Access,
    config: &AsyncConnectionConfig,
) -> Result<Master, Trouble> {
    // Nothing goes out, not even a password, to where nothing may go in the clear.
    let client = access.client(info).map_err(Trouble::broken)?;
    let mut connection = client
        .get_multiplexed_async_connection_with_config(config)
        .await?;
    let role: Role = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role {
        Role::Primary { .. } => Ok(Master { client, connection }),
        _ => Err(Trouble::broken("it is no master now")),
    }
}
