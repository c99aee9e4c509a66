//! A TCP proxy in front of a server. It passes everything on, until a test has it cut or stop connections.

use std::io::{ErrorKind, Read as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// How long a test waits for an event before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

type Matches = Box<dyn Fn(&[u8]) -> bool + Send>;

/// A proxy on 127.0.0.1. Its connections end with the runtime that it was started on.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    upstream: u16,
    shared: Arc<Shared>,
}

struct Shared {
    faults: Mutex<Vec<(Matches, Fault)>>,
    /// Changes when all connections are to be cut.
    cuts: watch::Sender<u32>,
    is_cut_off: AtomicBool,
    is_silent: AtomicBool,
    /// How many connections are accepted and get no answer, and how many there were at most.
    unheard: Mutex<Vec<std::net::TcpStream>>,
    most_unheard: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("cuts", &self.cuts).finish_non_exhaustive()
    }
}

/// What the proxy does with a request that it was armed for.
enum Fault {
    CutAfter(oneshot::Sender<()>),
    Delay(oneshot::Sender<Late>),
}

impl Proxy {
    /// Starts one in front of a server on this port.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", super::server::free_port())).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            cuts: watch::Sender::new(0),
            is_cut_off: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            unheard: Mutex::default(),
            most_unheard: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.is_cut_off.load(Ordering::SeqCst) {
                    continue;
                }
                let shared = Arc::clone(&accepting);
                tokio::spawn(async move {
                    if shared.is_silent.load(Ordering::SeqCst) {
                        return shared.say_nothing(client);
                    }
                    // If the server is down, the proxy closes the connection too.
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await {
                        carry(client, server, &shared).await;
                    }
                });
            }
        });
        Self { port, upstream, shared }
    }

    /// A server's URL, through the proxy.
    pub fn url(&self, direct: &str) -> String {
        direct.replace(&format!(":{}", self.upstream), &format!(":{}", self.port))
    }

    /// Cuts every connection, on both sides.
    pub fn cut_all(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts every connection, and closes each new one, until [`restore`](Self::restore).
    pub fn cut_off(&self) {
        self.shared.is_cut_off.store(true, Ordering::SeqCst);
        self.cut_all();
    }

    /// Lets connections through again.
    pub fn restore(&self) {
        self.shared.is_cut_off.store(false, Ordering::SeqCst);
    }

    /// Cuts every connection, and from then on accepts new ones and gives them no answer.
    pub fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
        self.cut_all();
    }

    /// The highest number of connections without an answer at one time.
    pub fn most_unheard(&self) -> usize {
        self.shared.most_unheard.load(Ordering::SeqCst)
    }

    /// Arms the proxy for the next request that matches: the server carries it out, and the proxy cuts the connection before the
    /// answer reaches the client.
    pub fn cut_after(&self, matches: impl Fn(&[u8]) -> bool + Send + 'static) -> Armed<()> {
        let (struck, armed) = oneshot::channel();
        self.shared.faults.lock().unwrap().push((Box::new(matches), Fault::CutAfter(struck)));
        Armed(armed)
    }

    /// Arms the proxy for the next request that matches: the proxy keeps the request, and cuts its client off at once.
    pub fn delay(&self, matches: impl Fn(&[u8]) -> bool + Send + 'static) -> Armed<Late> {
        let (struck, armed) = oneshot::channel();
        self.shared.faults.lock().unwrap().push((Box::new(matches), Fault::Delay(struck)));
        Armed(armed)
    }
}

/// A fault that is waiting for its request.
#[derive(Debug)]
pub struct Armed<T>(oneshot::Receiver<T>);

impl<T> Armed<T> {
    /// Waits until the request has come, and the client is cut off.
    pub async fn struck(self) -> T {
        let struck = tokio::time::timeout(PATIENCE, self.0).await;
        struck.expect("a request that matches").expect("a proxy that lives")
    }
}

/// A request that the proxy keeps, though its caller is cut off: a late request.
#[derive(Debug)]
pub struct Late {
    server: TcpStream,
    request: Vec<u8>,
}

impl Late {
    /// Sends the request to the server, on the connection on which it came. Returns once the server has answered, and so has
    /// carried it out.
    pub async fn deliver(mut self) {
        self.server.write_all(&self.request).await.unwrap();
        let answered = tokio::time::timeout(PATIENCE, self.server.read(&mut [0; 4096])).await;
        assert!(answered.expect("an answer").unwrap() > 0, "the connection was still open");
    }
}

/// Copies bytes in both directions until either side closes the connection, or a fault strikes.
async fn carry(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let mut cuts = shared.cuts.subscribe();
    let (mut request, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let passed = tokio::select! {
            biased;
            _ = cuts.changed() => return,
            length = client.read(&mut request) => {
                let Ok(length @ 1..) = length else { return };
                let request = &request[..length];
                match shared.fault(request) {
                    None => server.write_all(request).await,
                    Some(Fault::CutAfter(struck)) => return cut_after(client, server, request, struck).await,
                    Some(Fault::Delay(struck)) => {
                        drop(client);
                        drop(struck.send(Late { server, request: request.to_vec() }));
                        return;
                    }
                }
            }
            length = server.read(&mut answer) => {
                let Ok(length @ 1..) = length else { return };
                client.write_all(&answer[..length]).await
            }
        };
        if passed.is_err() {
            return;
        }
    }
}

async fn cut_after(client: TcpStream, mut server: TcpStream, request: &[u8], struck: oneshot::Sender<()>) {
    let mut answer = vec![0; 64 * 1024];
    // Once the server answers, it has carried the request out.
    if server.write_all(request).await.is_ok() {
        drop(server.read(&mut answer).await);
    }
    drop(client);
    let _ = struck.send(());
    // Reads the rest of the server's answer: a server that can't send it might give up what it is doing.
    while let Ok(1..) = server.read(&mut answer).await {
        if tokio::time::timeout(Duration::from_secs(1), server.readable()).await.is_err() {
            return;
        }
    }
}

/// Asks the operating system, as the runtime may not have noticed it yet.
fn has_given_up(client: &mut std::net::TcpStream) -> bool {
    loop {
        match client.read(&mut [0; 4096]) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Ok(0) | Err(_) => return true,
        }
    }
}

impl Shared {
    /// Accepts a client and gives it no answer. Clients that have closed their connection are no longer counted.
    fn say_nothing(&self, client: TcpStream) {
        let mut unheard = self.unheard.lock().unwrap();
        unheard.retain_mut(|other| !has_given_up(other));
        unheard.push(client.into_std().unwrap());
        self.most_unheard.fetch_max(unheard.len(), Ordering::SeqCst);
    }

    fn fault(&self, request: &[u8]) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(matches, _)| matches(request))?;
        Some(faults.remove(at).1)
    }
}

/// Matches requests that hold these bytes, as they are or in hexadecimal digits.
pub fn holding(bytes: &[u8]) -> impl Fn(&[u8]) -> bool + Send + 'static {
    let hex = |upper: bool| -> Vec<u8> {
        let digits = bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>().into_bytes()
    };
    let needles = [bytes.to_vec(), hex(false), hex(true)];
    move |request| needles.iter().any(|needle| request.windows(needle.len()).any(|part| part == needle.as_slice()))
}
