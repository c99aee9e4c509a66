//! A store whose requests are counted, by a proxy that stands between it and its server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::databases::mariadb::{Server, Store};

pub(crate) struct Counted {
    pub(crate) store: Store,
    #[expect(dead_code, reason = "it is stopped with this")]
    server: Server,
    requests: Arc<AtomicUsize>,
}

impl Counted {
    pub(crate) async fn start() -> Self {
        let server = Server::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mysql://root@{}/idem", listener.local_addr().unwrap());
        let requests = Arc::default();
        tokio::spawn(carry(listener, server.port(), Arc::clone(&requests)));
        Self { store: Store::open(&url).await.unwrap(), server, requests }
    }

    /// The number of requests since the last call of this.
    pub(crate) fn taken(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

async fn carry(listener: TcpListener, target: u16, requests: Arc<AtomicUsize>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let requests = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut header = [0; 4];
            while from_client.read_exact(&mut header).await.is_ok() {
                let mut packet = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
                from_client.read_exact(&mut packet).await.unwrap();
                // The first packet of a request has the number 0. The command 1 only closes the connection.
                requests.fetch_add(usize::from(header[3] == 0 && packet[0] != 1), Ordering::SeqCst);
                if to_server.write_all(&[&header[..], &packet].concat()).await.is_err() {
                    return;
                }
            }
        });
    }
}
