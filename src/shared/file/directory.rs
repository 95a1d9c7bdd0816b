//! A directory that nobody else can write to, and the files in it.

use std::{
    ffi::CStr,
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat,
        unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use crate::jwt::crypto::sha256_hex;

/// The file whose advisory lock is that of the directory.
const LOCK: &str = "lock";
const RECORD: &str = ".token";
const NEW: &str = ".new";

/// The name of the file of a key. It has no letters that a file system could take for each other.
pub(super) fn name(key: &str) -> String {
    sha256_hex(key) + RECORD
}

/// An open directory. What has been checked is what is used, even if another takes its place.
pub(super) struct Directory(File);

impl Directory {
    /// Opens it, or makes it first. Fails unless it is this user's and others cannot write to it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || openat(CWD, path, flags, Mode::empty());
        let directory = match open() {
            Err(Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                open()?
            }
            opened => opened?,
        };
        let stat = fstat(&directory)?;
        let (owner, user) = (stat.st_uid, geteuid().as_raw());
        if owner != user {
            return Err(denied(format!(
                "{path:?} belongs to the user {owner}, not to {user}, who runs this process: give another directory"
            )));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            return Err(denied(format!(
                "others can write to {path:?}: run `chmod go-w`, or give another directory"
            )));
        }
        Ok(Self(directory.into()))
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.open_file(name, OFlags::RDONLY) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` if somebody else has the lock.
    pub(super) fn try_lock(self) -> io::Result<Option<LockedDirectory>> {
        let lock = self.open_file(LOCK, OFlags::RDWR | OFlags::CREATE)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(LockedDirectory { directory: self, lock })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }
}

/// A directory that this process alone changes, until this is dropped or the process ends.
pub(super) struct LockedDirectory {
    directory: Directory,
    lock: File,
}

impl Drop for LockedDirectory {
    /// A process that was forked meanwhile has the file open as well, and would keep the lock.
    fn drop(&mut self) {
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

impl LockedDirectory {
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.directory.read(name)
    }

    /// Puts these bytes in the place of a file, all or nothing.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // One name is enough, since there is one writer. A file that a killed process has left is written over.
        let new = format!("{name}{NEW}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        self.directory.open_file(&new, flags)?.write_all(bytes)?;
        renameat(&self.directory.0, new, &self.directory.0, name)?;
        Ok(())
    }

    /// Removes the files whose bytes are not to be kept, and those that were never finished.
    pub(super) fn retain(&self, keep: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        for entry in Dir::read_from(&self.directory.0)? {
            let entry = entry?;
            let Some(name) = ours(entry.file_name()) else { continue };
            if !matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                continue;
            }
            let kept = name.ends_with(RECORD) && self.read(name)?.is_none_or(|bytes| keep(&bytes));
            if !kept {
                unlinkat(&self.directory.0, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

/// A name that [`name`] makes, perhaps of a file that is not finished.
fn ours(name: &CStr) -> Option<&str> {
    let name = name.to_str().ok()?;
    let digest = name.strip_suffix(NEW).unwrap_or(name).strip_suffix(RECORD)?;
    (digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit())).then_some(name)
}

fn denied(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a process has it that was forked while the directory was locked.
    #[test]
    fn a_released_lock_is_free_though_somebody_has_its_file_open() {
        let parent = tempfile::tempdir().unwrap();
        let open = || Directory::open(parent.path()).unwrap();
        let locked = open().try_lock().unwrap().unwrap();
        let _inherited = locked.lock.try_clone().unwrap();
        assert!(open().try_lock().unwrap().is_none());
        drop(locked);
        assert!(open().try_lock().unwrap().is_some());
    }
}
