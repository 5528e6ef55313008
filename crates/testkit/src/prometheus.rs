//! Prometheus for tests, and an application small enough to be scraped.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::home::Home;
use crate::server::{Kind, Server};
use crate::spawn::{dying_with_parent, missing, on_path};

/// How long a reader of these tiny answers may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A Prometheus of its own, which scrapes one application twice a second; killed on drop.
pub struct Prometheus {
    server: Server,
    certificate: Option<PathBuf>,
}

/// A certificate that vouches for itself, and its key.
type Own = rcgen::CertifiedKey<rcgen::KeyPair>;

impl Prometheus {
    /// Scrapes this application from now on, as job `app`.
    ///
    /// # Panics
    /// When Prometheus is not installed or does not start.
    pub fn scraping(app: &App) -> Self {
        Self::start(app, None)
    }

    /// As [`Prometheus::scraping`], and answers only over TLS, with a certificate of its own, and only who says
    /// [`Prometheus::LOGIN`].
    ///
    /// # Panics
    /// When Prometheus is not installed or does not start.
    pub fn guarded(app: &App) -> Self {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        Self::start(app, Some(own.expect("a certificate can be made")))
    }

    /// What a guarded one wants to hear in `Authorization`: user `gate`, password `open sesame`.
    pub const LOGIN: &str = "Basic Z2F0ZTpvcGVuIHNlc2FtZQ==";
    /// bcrypt of the password, at its least cost.
    const HASHED: &str = "$2b$04$RFQV88491NqdCSMOnorn6OwdfRIjR/1bNmJmpxXA4HpgxrnglQxCW";

    /// With this configuration, and these other files by their names beside it.
    ///
    /// # Panics
    /// When Prometheus is not installed or does not start.
    pub fn configured(config: &str, files: &[(&str, &str)]) -> Self {
        let home = Home::create().expect("a directory for Prometheus can be made");
        for (name, text) in files {
            let file = home.path().join(name);
            let directory = file.parent().unwrap_or(home.path());
            fs::create_dir_all(directory).expect("the server's directory is writable");
            fs::write(file, text).expect("the server's directory is writable");
        }
        Self::started(home, config, None)
    }

    /// What it answers to a GET, without the head; a refusal is an answer too. Only of one that is not guarded.
    ///
    /// # Panics
    /// When it cannot be reached, or does not answer.
    pub fn ask(&self, path: &str, query: &[(&str, &str)]) -> String {
        let pairs: Vec<_> = query
            .iter()
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port()))
            .expect("a started Prometheus listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket has a time-out");
        let mut answer = String::new();
        // HTTP/1.0: an answer in one piece, that ends with the connection.
        write!(stream, "GET {path}?{} HTTP/1.0\r\n\r\n", pairs.join("&"))
            .and_then(|()| stream.read_to_string(&mut answer))
            .unwrap_or_else(|error| panic!("Prometheus does not answer {path}: {error}"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        body.to_owned()
    }

    fn start(app: &App, own: Option<Own>) -> Self {
        let home = Home::create().expect("a directory for Prometheus can be made");
        let text = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}\nscrape_configs:\n\
             - job_name: app\n  static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
            app.port
        );
        Self::started(home, &text, own)
    }

    fn started(home: Home, text: &str, own: Option<Own>) -> Self {
        let config = home.path().join("prometheus.yml");
        fs::write(&config, text).expect("the server's directory is writable");
        let guard = own.map(|own| {
            let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
            let web = home.path().join("web.yml");
            let text = format!(
                "tls_server_config: {{cert_file: {}, key_file: {}}}\nbasic_auth_users: {{gate: '{}'}}\n",
                cert.display(),
                key.display(),
                Self::HASHED
            );
            for (file, text) in [
                (&cert, own.cert.pem()),
                (&key, own.signing_key.serialize_pem()),
                (&web, text),
            ] {
                fs::write(file, text).expect("the server's directory is writable");
            }
            (web, cert)
        });
        let kind = Prom {
            web: guard.as_ref().map(|(web, _)| web.clone()),
            program: on_path("prometheus").unwrap_or_else(|| missing("prometheus", "prometheus")),
            data: home.path().join("data"),
            config,
        };
        Self {
            server: Server::start(Box::new(kind), home),
            certificate: guard.map(|(_, cert)| cert),
        }
    }

    /// Where it answers: `http://127.0.0.1:<port>`, and https where it is guarded.
    pub fn url(&self) -> String {
        let scheme = self.certificate.as_ref().map_or("http", |_| "https");
        format!("{scheme}://127.0.0.1:{}", self.server.port())
    }

    /// The file with its certificate (PEM), where it is guarded.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// What it writes to its log.
    pub fn log_path(&self) -> PathBuf {
        self.server.log_path()
    }
}

struct Prom {
    program: PathBuf,
    /// How it guards itself.
    web: Option<PathBuf>,
    config: PathBuf,
    data: PathBuf,
}

impl Kind for Prom {
    fn name(&self) -> &'static str {
        "Prometheus"
    }

    fn command(&self, port: u16) -> Command {
        let mut command = dying_with_parent(&self.program);
        command
            .arg(format!("--config.file={}", self.config.display()))
            .arg(format!("--storage.tsdb.path={}", self.data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn");
        if let Some(file) = &self.web {
            command.arg(format!("--web.config.file={}", file.display()));
        }
        command
    }

    fn ready(&self, _pid: u32, port: u16) -> bool {
        // A guarded one is asked in the clear, and says so once it listens; what it knows by then, its user asks.
        let ready = self.web.as_ref().map_or("HTTP/1.1 200", |_| "HTTP/1.0 400");
        get(port, "/-/ready").is_some_and(|answer| answer.starts_with(ready))
    }
}

/// As it stands in a query string.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// An application that is always busy: each scrape finds more requests, and more errors while it is ill.
pub struct App {
    port: u16,
    shared: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counters {
    ill: AtomicBool,
    done: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
}

impl App {
    /// Serves `/metrics` with `app_requests_total` and `app_errors_total`.
    ///
    /// # Panics
    /// When the loopback interface has no free port.
    pub fn start() -> Self {
        let listener =
            TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
        let address = listener.local_addr();
        let port = address.expect("a bound listener has an address").port();
        let shared = Arc::new(Counters::default());
        let here = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if here.done.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    here.answer(stream);
                }
            }
        });
        Self {
            port,
            shared,
            thread: Some(thread),
        }
    }

    /// From now on every other request fails.
    pub fn fall_ill(&self) {
        self.shared.ill.store(true, Ordering::SeqCst);
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Counters {
    fn answer(&self, mut stream: TcpStream) {
        let mut request = [0; 4096];
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.read(&mut request);
        let requests = self.requests.fetch_add(100, Ordering::SeqCst) + 100;
        let more = if self.ill.load(Ordering::SeqCst) {
            50
        } else {
            0
        };
        let errors = self.errors.fetch_add(more, Ordering::SeqCst) + more;
        let body = format!(
            "# TYPE app_requests_total counter\napp_requests_total {requests}\n\
             # TYPE app_errors_total counter\napp_errors_total {errors}\n"
        );
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}
