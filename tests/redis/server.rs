use std::{
    env,
    io::{self, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use redis::{Client, FromRedisValue, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A Redis server on a socket in a directory of its own, without persistence. Ends when it is dropped.
pub struct Server {
    process: Child,
    args: Vec<String>,
    directory: TempDir,
}

impl Server {
    /// `None` if there is no Redis on this machine and none is required.
    pub fn start(args: &[&str]) -> Option<Self> {
        let server = Self::prepare(args)?;
        server.wait();
        Some(server)
    }

    fn prepare(args: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let args = args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        match spawn(&directory, &args) {
            Ok(process) => Some(Self { process, args, directory }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                assert!(
                    env::var_os("TOWER_BEARER_REDIS").is_none(),
                    "there is no redis-server, and TOWER_BEARER_REDIS requires one"
                );
                // Not by the macro, whose output is kept from who runs the tests.
                let text = "SKIPPED a test with Redis: there is no redis-server (apt-get install redis-server)";
                let _ = writeln!(io::stderr(), "{text}");
                None
            }
            Err(error) => panic!("redis-server: {error}"),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// As a crash, or the machine's end: no connection is closed in an orderly way.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.process = spawn(&self.directory, &self.args).unwrap();
        self.wait();
    }

    /// It takes connections and commands, and says nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// One command by the default user, its words separated by spaces.
    pub async fn command<T: FromRedisValue>(&self, words: &str) -> T {
        send(&mut self.connection().await, words).await
    }

    fn wait(&self) {
        for _ in 0..1_000 {
            if UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub async fn send<T: FromRedisValue>(connection: &mut MultiplexedConnection, words: &str) -> T {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query_async(connection).await.unwrap()
}

fn spawn(directory: &TempDir, args: &[String]) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "redis.sock", "--dir"])
        .arg(directory.path())
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(args)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}
