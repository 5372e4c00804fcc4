//! The status over MQTT, at a real mosquitto (`apt-get install mosquitto`); `MOSQUITTO` names another program.
#![cfg_attr(feature = "mqtt", expect(clippy::disallowed_methods, reason = "tests start programs"))]
#![cfg(all(unix, feature = "mqtt"))]

/// `cargo xtask test` leaves this module out, loudly, where there is no mosquitto.
mod mosquitto {
    use std::fmt::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use rumqttc::{Client, Event, MqttOptions, Packet, Publish, QoS};
    use trm_firmware_host::kiosk::config::MqttConfig;
    use trm_firmware_host::kiosk::mqtt::MqttStatus;
    use trm_firmware_host::kiosk::state::KioskState;
    use trm_firmware_host::kiosk::status::{Status, StatusSink as _};
    use trm_firmware_host::kiosk::{Metrics, Outcome};

    struct Broker {
        process: Child,
        port: u16,
        folder: tempfile::TempDir,
    }

    impl Drop for Broker {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    fn program() -> PathBuf {
        if let Some(named) = std::env::var_os("MOSQUITTO") {
            return named.into();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian puts it where a user's PATH does not look.
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        let found = folders.into_iter().map(|folder| folder.join("mosquitto")).find(|file| file.is_file());
        found.expect("no mosquitto: `apt-get install mosquitto`, or name the program by MOSQUITTO")
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn start(port: u16, password: Option<(&str, &str)>) -> Broker {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = format!("listener {port} 127.0.0.1\npersistence false\n");
        match password {
            None => settings.push_str("allow_anonymous true\n"),
            Some((user, password)) => {
                let file = folder.path().join("passwords");
                let mut hash = Command::new("mosquitto_passwd");
                hash.args(["-b", "-c"]).arg(&file).args([user, password]);
                let status = hash.status().expect("mosquitto_passwd comes with mosquitto");
                assert!(status.success());
                // mosquitto gives up root's rights before it reads the file.
                make_readable(&file);
                make_readable(folder.path());
                write!(settings, "allow_anonymous false\npassword_file {}\n", file.display()).unwrap();
            }
        }
        let file = folder.path().join("mosquitto.conf");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program());
        command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program().display()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "mosquitto does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Broker { process, port, folder }
    }

    fn make_readable(path: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn config(port: u16) -> MqttConfig {
        MqttConfig {
            host: "127.0.0.1".to_owned(),
            port,
            topic: "hall/kiosk-1".to_owned(),
            client_id: format!("kiosk-{port}"),
            user: None,
            password_file: None,
            keep_alive_s: 5,
        }
    }

    fn status(solved: u64) -> Status {
        let mut kept = KioskState::default();
        kept.counters.solved = solved;
        Status::new("idle", &kept, None)
    }

    /// Returns the messages that another client hears of the kiosk until `done`, or for five seconds.
    fn listen(port: u16, login: Option<(&str, &str)>, mut done: impl FnMut(&Publish) -> bool) -> Vec<Publish> {
        let mut options = MqttOptions::new(format!("listener-{}", free_port()), "127.0.0.1", port);
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let (client, mut connection) = Client::new(options, 10);
        client.subscribe("hall/kiosk-1/+", QoS::AtLeastOnce).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut heard = Vec::new();
        while Instant::now() < deadline {
            if let Ok(Ok(Event::Incoming(Packet::Publish(message)))) =
                connection.recv_timeout(Duration::from_millis(100))
            {
                let last = done(&message);
                heard.push(message);
                if last {
                    break;
                }
            }
        }
        heard
    }

    fn is(message: &Publish, topic: &str, payload: &str) -> bool {
        message.topic == topic && String::from_utf8_lossy(&message.payload).contains(payload)
    }

    fn hears(port: u16, topic: &str, payload: &str) -> bool {
        listen(port, None, |message| is(message, topic, payload)).iter().any(|message| is(message, topic, payload))
    }

    fn connected(metrics: &Metrics) -> bool {
        let deadline = Instant::now() + Duration::from_secs(15);
        while metrics.mqtt_connected.get() == 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        metrics.mqtt_connected.get() == 1
    }

    #[test]
    fn the_status_is_retained_and_a_farewell_said() {
        let broker = start(free_port(), None);
        let metrics = Arc::new(Metrics::default());
        let mut kiosk = MqttStatus::start(&config(broker.port), Arc::clone(&metrics)).unwrap();
        let mut latest = status(41);
        latest.last = None;
        kiosk.publish(&latest);
        assert!(connected(&metrics));
        kiosk.publish(&status(42));
        assert!(hears(broker.port, "hall/kiosk-1/status", "\"solved\":42"));
        // A client that comes later hears the latest, and only that, as retained, at quality of service 1.
        let heard = listen(broker.port, None, |message| message.topic.ends_with("/status"));
        let message = heard.iter().find(|message| message.topic.ends_with("/status")).unwrap();
        assert!(message.retain && message.qos == QoS::AtLeastOnce);
        let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!((&json["state"], &json["counters"]["solved"]), (&"idle".into(), &42.into()));
        assert!(hears(broker.port, "hall/kiosk-1/online", "true"));
        drop(kiosk);
        assert!(hears(broker.port, "hall/kiosk-1/online", "false"));
        assert_eq!(serde_json::to_value(Outcome::NotSolved).unwrap(), "not-solved");
    }

    #[test]
    #[ignore = "the process that another test starts"]
    fn publishes_until_it_is_killed() {
        let port = std::env::var("TEST_PORT").expect("started by another test").parse().unwrap();
        let metrics = Arc::new(Metrics::default());
        let mut kiosk = MqttStatus::start(&config(port), metrics).unwrap();
        kiosk.publish(&status(1));
        std::thread::sleep(Duration::from_mins(1));
    }

    #[test]
    fn the_last_will_speaks_for_a_kiosk_that_was_killed() {
        let broker = start(free_port(), None);
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "mosquitto::publishes_until_it_is_killed", "--ignored"])
            .env("TEST_PORT", broker.port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert!(hears(broker.port, "hall/kiosk-1/online", "true"));
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(hears(broker.port, "hall/kiosk-1/online", "false"));
        assert!(hears(broker.port, "hall/kiosk-1/status", "\"solved\":1"), "the last status stays");
    }

    #[test]
    fn a_broker_that_comes_back_gets_the_present_status() {
        let port = free_port();
        let metrics = Arc::new(Metrics::default());
        let mut kiosk = MqttStatus::start(&config(port), Arc::clone(&metrics)).unwrap();
        // Nobody there: publishing does not block, and nothing piles up.
        let started = Instant::now();
        for solved in 0..1_000 {
            kiosk.publish(&status(solved));
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let broker = start(port, None);
        assert!(connected(&metrics));
        assert!(hears(port, "hall/kiosk-1/status", "\"solved\":999"));
        drop(broker);
        let deadline = Instant::now() + Duration::from_secs(10);
        while metrics.mqtt_connected.get() == 1 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(metrics.mqtt_connected.get(), 0);
        kiosk.publish(&status(1_234));
        let broker = start(port, None);
        assert!(connected(&metrics));
        assert!(hears(port, "hall/kiosk-1/status", "\"solved\":1234"));
        drop(broker);
        // A broker that lost its memory, while the kiosk has nothing new to say.
        let broker = start(port, None);
        assert!(hears(port, "hall/kiosk-1/status", "\"solved\":1234"));
        assert!(hears(port, "hall/kiosk-1/online", "true"));
        // More than the queue holds, at once: the last one arrives all the same.
        for solved in 5_000..5_500 {
            kiosk.publish(&status(solved));
        }
        assert!(hears(port, "hall/kiosk-1/status", "\"solved\":5499"));
        drop(broker);
    }

    #[test]
    fn the_password_comes_from_a_file() {
        let login = ("kiosk", "open sesame");
        let broker = start(free_port(), Some(login));
        let file = broker.folder.path().join("password");
        std::fs::write(&file, "open sesame\n").unwrap();
        let mut settings = config(broker.port);
        settings.user = Some("kiosk".to_owned());
        settings.password_file = Some(file.clone());
        let metrics = Arc::new(Metrics::default());
        let mut kiosk = MqttStatus::start(&settings, Arc::clone(&metrics)).unwrap();
        kiosk.publish(&status(3));
        let heard = listen(broker.port, Some(login), |message| message.topic.ends_with("/status"));
        assert!(heard.iter().any(|message| is(message, "hall/kiosk-1/status", "\"solved\":3")));
        drop(kiosk);

        std::fs::write(&file, "wrong\n").unwrap();
        let metrics = Arc::new(Metrics::default());
        let kiosk = MqttStatus::start(&settings, Arc::clone(&metrics)).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(metrics.mqtt_connected.get(), 0);
        let started = Instant::now();
        drop(kiosk);
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        // A file that is empty or missing is a trouble until it has the password.
        std::fs::write(&file, "").unwrap();
        let metrics = Arc::new(Metrics::default());
        let _kiosk = MqttStatus::start(&settings, Arc::clone(&metrics)).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        while metrics.troubles.list().is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let troubles = metrics.troubles.list();
        assert!(troubles[0].message.contains("password: read failed: its first line is empty"), "{troubles:?}");
        std::fs::write(&file, "open sesame\n").unwrap();
        assert!(connected(&metrics));
        assert!(metrics.troubles.list().is_empty());
    }
}
