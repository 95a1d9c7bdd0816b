//! A Redis server that this example starts.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

/// It listens on a socket in a directory, and keeps nothing on the disk. Ends when it is dropped.
pub struct Redis {
    socket: PathBuf,
    process: Child,
}

impl Redis {
    /// `None` if it is not installed.
    pub async fn start(directory: &Path) -> io::Result<Option<Self>> {
        let socket = directory.join("redis.sock");
        match spawn(&socket) {
            Ok(process) => {
                let redis = Self { socket, process };
                redis.wait().await?;
                Ok(Some(redis))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    pub fn stop(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    pub async fn start_again(&mut self) -> io::Result<()> {
        self.process = spawn(&self.socket)?;
        self.wait().await
    }

    async fn wait(&self) -> io::Result<()> {
        for _ in 0..500 {
            if UnixStream::connect(&self.socket).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "redis-server does not listen"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn spawn(socket: &Path) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}
