mod contract;
#[cfg(unix)]
mod file;
