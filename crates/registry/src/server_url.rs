//! The URL of a database server as it is written, taken apart without resolving a reference in it.

/// PostgreSQL's own port.
const PORT: &str = "5432";

/// The database that a server is reached by where every tenant names its own. Each server has it, unless it was dropped.
const MAINTENANCE: &str = "postgres";

/// Parameters that would say otherwise than the URL in front of them.
const ELSEWHERE: [&str; 5] = ["host", "hostaddr", "port", "dbname", "user"];

/// A PostgreSQL URL in its parts. What it says is never shown: it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    user: Option<String>,
    password: Option<String>,
    address: String,
    database: Option<String>,
    parameters: Option<String>,
}

impl ServerUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// Why it names no single server, as a sentence about the URL that does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or(NO_URL)?;
        if !["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(NO_URL.to_owned());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, parameters) = match rest.split_once('?') {
            Some((rest, parameters)) => (rest, Some(parameters.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':')) {
            Some(Some((user, password))) => (Some(user), Some(password)),
            Some(None) => (login, None),
            None => (None, None),
        };
        let url = Self {
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            address: address(server)?,
            database: (!path.is_empty()).then(|| decoded(path)).transpose()?,
            parameters,
        };
        match url.parameter_of(&ELSEWHERE) {
            Some(name) => Err(format!(
                "has the parameter `{name}`; say it in front of the `?` instead"
            )),
            None => Ok(url),
        }
    }

    /// `host:port` in one spelling, which names the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The database that it leads to.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Whether a password stands in it as it is. `${NAME}` is no password.
    pub fn has_password(&self) -> bool {
        let is_reference = |text: &str| {
            text.strip_prefix("${")
                .and_then(|rest| rest.strip_suffix('}'))
                .is_some_and(|name| {
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                })
        };
        let written = |text: &&str| !text.is_empty() && !is_reference(text);
        self.password.as_deref().as_ref().is_some_and(written)
            || self.parameters().any(|(name, value)| {
                name.to_ascii_lowercase().contains("password") && written(&value)
            })
    }

    /// The same server, login and parameters, by the database that every server has.
    pub fn of_the_server(&self) -> String {
        self.written(Some(MAINTENANCE))
    }

    /// The URL, put together again.
    pub fn as_written(&self) -> String {
        self.written(self.database())
    }

    fn written(&self, database: Option<&str>) -> String {
        let mut text = "postgres://".to_owned();
        if let Some(user) = &self.user {
            text.push_str(user);
            if let Some(password) = &self.password {
                text.push(':');
                text.push_str(password);
            }
            text.push('@');
        }
        text.push_str(&self.address);
        if let Some(database) = database {
            text.push('/');
            text.push_str(&encoded(database));
        }
        if let Some(parameters) = &self.parameters {
            text.push('?');
            text.push_str(parameters);
        }
        text
    }

    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.parameters.as_deref().unwrap_or_default().split('&');
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    fn parameter_of(&self, names: &[&str]) -> Option<String> {
        self.parameters()
            .map(|(name, _)| name.to_ascii_lowercase())
            .find(|name| names.contains(&name.as_str()))
    }
}

const NO_URL: &str =
    "is not the URL of a PostgreSQL server, postgres://USER:${PASSWORD}@HOST:PORT/DATABASE";

fn address(server: &str) -> Result<String, String> {
    if server.contains(',') {
        return Err("names several servers; a host is one".to_owned());
    }
    // The colons of an IPv6 address stand in brackets.
    let behind = server.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match server[behind..].split_once(':') {
        Some((_, port)) => (&server[..server.len() - port.len() - 1], port),
        None => (server, PORT),
    };
    if name.is_empty() {
        return Err("names no server; a socket needs a host under [hosts.<name>]".to_owned());
    }
    let port = if port.is_empty() { PORT } else { port };
    if !port.contains("${") && port.parse::<u16>().is_err() {
        return Err("has a port that is no number".to_owned());
    }
    // Names of variables are not of servers.
    let name = match name.contains("${") {
        true => name.to_owned(),
        false => name.to_ascii_lowercase(),
    };
    Ok(format!("{name}:{port}"))
}

fn decoded(path: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.ok_or("has a database in which a % is not followed by two hex digits")?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| "has a database that is not UTF-8".to_owned())
}

fn encoded(database: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~${}".contains(&b);
    database
        .bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ServerUrl {
        ServerUrl::parse(text)
            .map_err(|e| format!("{text}: {e}"))
            .unwrap()
    }

    #[test]
    fn a_server_has_one_spelling() {
        for (text, address, database) in [
            ("postgres://DB", "db:5432", None),
            ("postgresql://db:5432/", "db:5432", None),
            ("postgres://u@db:/a", "db:5432", Some("a")),
            (
                "postgres://u:${P}@Db.Example:6432/a%20b?sslmode=require",
                "db.example:6432",
                Some("a b"),
            ),
            ("postgres://u:p%40@[::1]:5433/a#x", "[::1]:5433", Some("a")),
            ("postgres://u@[::1]/a", "[::1]:5432", Some("a")),
            (
                "postgres://u@${HOST}:${PORT}/a",
                "${HOST}:${PORT}",
                Some("a"),
            ),
        ] {
            let url = parse(text);
            assert_eq!(
                (url.address(), url.database()),
                (address, database),
                "{text}"
            );
            assert!(parse(&url.as_written()) == url, "{text}");
        }
        assert_eq!(
            parse("postgres://u:${P}@DB/acme?sslmode=require").of_the_server(),
            "postgres://u:${P}@db:5432/postgres?sslmode=require"
        );
    }

    #[test]
    fn passwords_are_told_from_references() {
        for (text, has) in [
            ("postgres://u@db/a", false),
            ("postgres://u:@db/a", false),
            ("postgres://u:${P_1}@db/a", false),
            ("postgres://u:hunter2@db/a", true),
            ("postgres://u:x${P}@db/a", true),
            ("postgres://u:$${P}@db/a", true),
            ("postgres://u:${P}${Q}@db/a", true),
            ("postgres://u@db/a?password=x", true),
            ("postgres://u@db/a?sslmode=require&sslPassword=x", true),
            ("postgres://u@db/a?password=${P}", false),
        ] {
            assert_eq!(parse(text).has_password(), has, "{text}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused_without_being_repeated() {
        for (text, part) in [
            ("", "is not the URL"),
            ("db:5432", "is not the URL"),
            ("mysql://u:hunter2@db/a", "is not the URL"),
            ("postgres://u:hunter2@/a", "names no server"),
            ("postgres:///a?host=/tmp", "names no server"),
            ("postgres://u:hunter2@a,b/x", "several servers"),
            ("postgres://u:hunter2@db:x/a", "no number"),
            ("postgres://u:hunter2@db:70000/a", "no number"),
            ("postgres://u:hunter2@db/a%2", "hex digits"),
            ("postgres://u:hunter2@db/a%ff", "not UTF-8"),
            (
                "postgres://u:hunter2@db/a?dbname=b",
                "the parameter `dbname`",
            ),
        ] {
            let error = ServerUrl::parse(text).err().unwrap_or_default();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }
}
