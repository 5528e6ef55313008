//! What a URL says: one server, or sentinels that know it.

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
};

use super::sentinels::Sentinels;
use crate::port::ClaimsError;

/// Where a sentinel listens when the URL does not say.
const SENTINEL_PORT: u16 = 26379;

const ONE: &str = "redis://[user:password@]host[:port][/database]";
const SEVERAL: &str = "redis+sentinel://[user:password@]host[:port],host[:port]…/MASTER_NAME[/database]\
                       [?sentinel_user=…&sentinel_password=…]";

/// Whom to ask.
#[derive(Clone)]
pub(super) enum Address {
    /// The server itself.
    One(Box<ConnectionInfo>),
    /// Who knows the server that is master now.
    Sentinels(Sentinels),
}

/// An address, and how to speak of it.
pub(super) struct Parsed {
    pub(super) address: Address,
    /// The URL without credentials.
    pub(super) shown: String,
    /// What must never be shown.
    pub(super) passwords: Vec<String>,
    pub(super) tls: bool,
}

/// Reads a URL whose scheme is one of Redis's.
///
/// # Errors
/// When it has not the form that its scheme demands; the message holds nothing of it but the scheme.
pub(super) fn parse(url: &str) -> Result<Parsed, ClaimsError> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let read = match scheme.strip_suffix("+sentinel") {
        Some(plain) => several(scheme, plain, rest).ok_or(SEVERAL),
        None => one(scheme, url).ok_or(ONE),
    };
    // The parser's own words may quote the URL, and so the password.
    read.map_err(|form| ClaimsError {
        url: format!("{scheme}://…"),
        message: format!(
            "claims.url is not understood; it has the form {form}, with reserved characters of names and passwords \
             written as %XX"
        ),
    })
}

fn one(scheme: &str, url: &str) -> Option<Parsed> {
    let info = url.into_connection_info().ok()?;
    // `#insecure` checks no certificate at all; a private authority is what claims.ca is for.
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return None;
    }
    let settings = polite(info.redis_settings().clone());
    Some(Parsed {
        shown: format!("{scheme}://{}", shown(info.addr())),
        passwords: password(&settings),
        tls: scheme == "rediss",
        address: Address::One(Box::new(info.set_redis_settings(settings))),
    })
}

fn several(scheme: &str, plain: &str, rest: &str) -> Option<Parsed> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, path) = rest.split_once('/')?;
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    // What a sentinel accepts as a name.
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if master.is_empty() || !master.chars().all(legal) || rest.contains('#') {
        return None;
    }
    let at_server = settings(credentials, database)?;
    let at_sentinels = settings(&sentinel_credentials(query)?, "")?;
    let mut nodes = Vec::new();
    for host in hosts.split(',') {
        let info = node(plain, host)?;
        nodes.push(info.set_redis_settings(at_sentinels.clone()));
    }
    let names: Vec<_> = nodes.iter().map(|info| shown(info.addr())).collect();
    let passwords = [&at_server, &at_sentinels]
        .into_iter()
        .flat_map(password)
        .collect();
    Some(Parsed {
        shown: format!("{scheme}://{}/{master}", names.join(",")),
        passwords,
        tls: plain == "rediss",
        address: Address::Sentinels(Sentinels {
            nodes,
            master: master.to_owned(),
            at_server,
        }),
    })
}

/// One sentinel, still without credentials.
fn node(scheme: &str, host: &str) -> Option<ConnectionInfo> {
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    let url = match after_brackets.contains(':') {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{SENTINEL_PORT}"),
    };
    (!host.is_empty()).then(|| url.into_connection_info().ok())?
}

/// User, password and database, decoded as the parser of plain URLs does it.
fn settings(credentials: &str, database: &str) -> Option<RedisConnectionInfo> {
    let url = format!("redis://{credentials}@localhost/{database}");
    let info = url.into_connection_info().ok()?;
    // What would end the credentials early must not become a host.
    let whole = matches!(info.addr(), ConnectionAddr::Tcp(host, 6379) if host == "localhost");
    whole.then(|| polite(info.redis_settings().clone()))
}

fn sentinel_credentials(query: &str) -> Option<String> {
    let (mut user, mut password) = ("", "");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("sentinel_user", value) => user = value,
            ("sentinel_password", value) => password = value,
            _ => return None,
        }
    }
    Some(match (user, password) {
        ("", "") => String::new(),
        (user, password) => format!("{user}:{password}"),
    })
}

fn polite(settings: RedisConnectionInfo) -> RedisConnectionInfo {
    settings
        // RESP3 lets the client notice a connection that was closed while nothing was sent.
        .set_protocol(ProtocolVersion::RESP3)
        // One right fewer that the server has to grant.
        .set_skip_set_lib_name()
}

fn password(settings: &RedisConnectionInfo) -> Vec<String> {
    let password = settings.password().filter(|password| !password.is_empty());
    password.map(str::to_owned).into_iter().collect()
}

/// `host:port`, an IPv6 address in brackets; or a socket's path.
pub(super) fn shown(addr: &ConnectionAddr) -> String {
    match addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
            if host.contains(':') =>
        {
            format!("[{host}]:{port}")
        }
        _ => addr.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinels(url: &str) -> Sentinels {
        match parse(url).unwrap().address {
            Address::Sentinels(sentinels) => sentinels,
            Address::One(_) => panic!("{url} names sentinels"),
        }
    }

    #[test]
    fn sentinels_have_ports_a_master_and_two_sets_of_credentials() {
        let url = "redis+sentinel://app:p%40ss@a,b:5000,[::1]:7/main.1/3?sentinel_user=s&sentinel_password=h%2Fh";
        let parsed = parse(url).unwrap();
        assert_eq!(
            parsed.shown,
            "redis+sentinel://a:26379,b:5000,[::1]:7/main.1"
        );
        assert_eq!(parsed.passwords, ["p@ss", "h/h"]);
        assert!(!parsed.tls);
        let sentinels = sentinels(url);
        assert_eq!(sentinels.master, "main.1");
        assert_eq!(sentinels.at_server.db(), 3);
        assert_eq!(sentinels.at_server.username(), Some("app"));
        for node in &sentinels.nodes {
            assert_eq!(node.redis_settings().username(), Some("s"));
            assert_eq!(node.redis_settings().password(), Some("h/h"));
        }
    }

    #[test]
    fn tls_is_spoken_with_sentinels_too() {
        let parsed = parse("rediss+sentinel://[::1],b/main").unwrap();
        assert!(parsed.tls);
        assert_eq!(parsed.shown, "rediss+sentinel://[::1]:26379,b:26379/main");
        for node in sentinels("rediss+sentinel://[::1],b/main").nodes {
            assert!(matches!(
                node.addr(),
                ConnectionAddr::TcpTls {
                    insecure: false,
                    ..
                }
            ));
        }
    }

    #[test]
    fn what_is_not_understood_is_told_its_form_and_nothing_of_its_text() {
        for (url, form) in [
            ("redis://u:hunter2@host:notaport", "[/database]"),
            ("redis://u:hunter2@host/notanumber", "[/database]"),
            ("redis://:hunter2@[::1", "[/database]"),
            ("rediss://:hunter2@host/#insecure", "[/database]"),
            ("redis+sentinel://u:hunter2@a,b", "MASTER_NAME"),
            ("redis+sentinel://u:hunter2@a,b/", "MASTER_NAME"),
            ("redis+sentinel://u:hunter2@a,,b/main", "MASTER_NAME"),
            ("redis+sentinel://u:hunter2@a/main/x", "MASTER_NAME"),
            ("redis+sentinel://u:hunter2@a/ma in", "MASTER_NAME"),
            (
                "redis+sentinel://a/main?sentinel_pasword=hunter2",
                "MASTER_NAME",
            ),
            ("redis+sentinel://u:hun/ter2@a/main", "MASTER_NAME"),
            ("rediss+sentinel://:hunter2@a/main#insecure", "MASTER_NAME"),
        ] {
            let said = parse(url).map(drop).unwrap_err().to_string();
            assert!(said.contains(form), "{url}: {said}");
            assert!(
                !said.contains("hunter2") && !said.contains("ter2"),
                "{said}"
            );
        }
    }
}
