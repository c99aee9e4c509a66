//! A RabbitMQ server.

use std::ops::Deref;
use std::path::PathBuf;

use super::process::Process;
use super::{Program, Server, folder, free_port, program};

/// A RabbitMQ server, with a port mapper of its own: the one that Erlang would start by itself would outlive the test.
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
    _port_mapper: Process,
}

impl RabbitMq {
    /// Starts one. Takes some seconds.
    pub async fn start() -> Self {
        let directory = folder(None);
        let (port, mapper_port, distribution_port) = (free_port(), free_port(), free_port());
        let home = directory.path().display();
        let port_mapper = Process::start(&port_mapper(mapper_port), None, &directory.path().join("epmd.log"));
        let arguments = [
            format!("HOME={home}"),
            format!("ERL_EPMD_PORT={mapper_port}"),
            // With this setting the script replaces itself by the server, instead of starting it as a child: so the process that
            // is killed is the server.
            "RABBITMQ_ALLOW_INPUT=1".to_owned(),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
                .to_owned(),
            format!("RABBITMQ_NODENAME=idem{port}@localhost"),
            "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1".to_owned(),
            format!("RABBITMQ_NODE_PORT={port}"),
            format!("RABBITMQ_DIST_PORT={distribution_port}"),
            format!("RABBITMQ_MNESIA_BASE={home}/data"),
            "RABBITMQ_LOGS=-".to_owned(),
            // The files of this server, not those of a server of the machine.
            format!("RABBITMQ_ENABLED_PLUGINS_FILE={home}/plugins"),
            format!("RABBITMQ_CONFIG_FILE={home}/settings"),
            format!("RABBITMQ_ADVANCED_CONFIG_FILE={home}/advanced"),
            "RABBITMQ_CONF_ENV_FILE=/dev/null".to_owned(),
            // Not Debian's script in /usr/sbin, which changes the user.
            program("rabbitmq-server", [PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server")]).display().to_string(),
        ];
        // The header of the protocol. The server answers with its capabilities.
        let hello = (b"AMQP\0\0\x09\x01".to_vec(), b"capabilities".as_slice());
        let program = Program { path: "/usr/bin/env".into(), arguments: arguments.into(), user: None, hello };
        let server = Server::start(directory, port, format!("amqp://127.0.0.1:{port}"), program).await;
        Self { server, _port_mapper: port_mapper }
    }
}

/// Erlang's port mapper, by which nodes find each other. There are no other nodes here, but a node doesn't start without it.
fn port_mapper(port: u16) -> Program {
    let path = program("rabbitmq-server", ["/usr/bin/epmd", "/usr/local/bin/epmd"].map(PathBuf::from));
    let arguments = format!("-port {port} -address 127.0.0.1").split(' ').map(str::to_owned).collect();
    Program { path, arguments, user: None, hello: (Vec::new(), b"") }
}

impl Deref for RabbitMq {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
