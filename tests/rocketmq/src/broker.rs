//! A name server and a broker of rocketmq-rust in one process.

use std::path::{Path, PathBuf};

use rocketmq_broker::config::{raw::RawBrokerConfig, validated::ValidatedBrokerConfig};
use rocketmq_model::version::CURRENT_VERSION;
use rocketmq_namesrv::{NamesrvConfig, bootstrap};
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_protocol::protocol::remoting_command_facade::initialize_remoting_defaults;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use rocketmq_transport::api::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::client::{Outcome, terminated};

/// The folder and the ports of a broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The folder of its data.
    pub directory: PathBuf,
    /// The port of the name server, which clients ask for the broker of a topic.
    pub name_server: u16,
    /// The port of the broker. It also listens two ports below and one above.
    pub broker: u16,
}

impl Place {
    /// The broker's settings: small files, no port that other machines can reach, and delays of seconds, not hours, between retries.
    ///
    /// With these, a busy broker lets requests wait, and doesn't refuse them. When it refused to take a message back, the client
    /// (rocketmq-client-rust 1.0.0) sent it as a new message instead, and that one was never delivered: five of five, in a run of the
    /// chaos test.
    fn configuration(&self) -> String {
        let store = self.directory.join("store");
        let (name_server, broker, ha) = (self.name_server, self.broker, self.broker + 1);
        format!(
            r#"
[broker]
namesrvAddr = "127.0.0.1:{name_server}"
brokerIp1 = "127.0.0.1"
brokerIp2 = "127.0.0.1"
listenPort = {broker}
storePathRootDir = "{store}"
brokerFastFailureEnable = false
[broker.brokerServerConfig]
bindAddress = "127.0.0.1"
[broker.brokerIdentity]
brokerName = "broker-a"
brokerClusterName = "DefaultCluster"
brokerId = 0
[broker.topicQueueConfig]
defaultTopicQueueNums = 4
[store]
storePathRootDir = "{store}"
brokerRole = "ASYNC_MASTER"
haListenAddress = "127.0.0.1"
haListenPort = {ha}
mappedFileSizeCommitLog = 8388608
mappedFileSizeConsumeQueue = 600000
mappedFileSizeConsumeQueueExt = 65536
maxHashSlotNum = 1000
maxIndexNum = 4000
timerWheelEnable = false
messageDelayLevel = "{ladder}"
"#,
            store = store.display(),
            ladder = ["1s"; 18].join(" "),
        )
    }
}

/// Runs the name server and the broker until SIGTERM.
///
/// # Errors
///
/// They didn't start.
pub fn run(place: &Place) -> Outcome<()> {
    let directory = place.directory.display().to_string();
    std::fs::create_dir_all(place.directory.join("store"))?;
    let configuration = place.directory.join("broker.toml");
    std::fs::write(&configuration, place.configuration())?;
    // Safe, as there is no second thread yet.
    unsafe { std::env::set_var("ROCKETMQ_HOME", &directory) };
    initialize_remoting_defaults(CURRENT_VERSION as i32)?;
    let owner = RuntimeOwner::plan(RuntimeConfig::broker_default())?.build()?;
    let telemetry = TelemetryRuntimeGuard::noop();
    let (stop, stopped) = oneshot::channel::<()>();
    let name_server = bootstrap::Builder::new(owner.root_context().component("namesrv"), telemetry.handle())
        .set_name_server_config(NamesrvConfig {
            rocketmq_home: directory.clone(),
            kv_config_path: format!("{directory}/kvConfig.json"),
            config_store_path: format!("{directory}/namesrv.properties"),
            ..NamesrvConfig::default()
        })
        .set_server_config(ServerConfig {
            listen_port: place.name_server.into(),
            bind_address: "127.0.0.1".into(),
            ..ServerConfig::default()
        })
        .build();
    let broker = owner.root_context().component("broker");
    owner.block_on(async {
        let name_server = tokio::spawn(name_server.boot_with_shutdown(async move { drop(stopped.await) }));
        while TcpStream::connect(("127.0.0.1", place.name_server)).await.is_err() {
            if name_server.is_finished() {
                return Err(format!("the name server: {:?}", name_server.await).into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let configuration = ValidatedBrokerConfig::try_from(RawBrokerConfig::load(Path::new(&configuration))?)?;
        let broker = rocketmq_broker::Builder::new(broker, TelemetryRuntimeGuard::noop())
            .with_validated_config(configuration)
            .build();
        let broker = broker.initialize().await?.start().await?;
        println!("READY");
        terminated().await;
        broker.shutdown().await;
        stop.send(()).ok();
        drop(name_server.await);
        Outcome::Ok(())
    })?;
    owner.shutdown_runtime_blocking()?;
    Ok(())
}
